/** Two real daemons in one network, each with the interface in a page of Chromium. The desk has the built-in engine. */
import type { Page } from "playwright-core";
import { Device } from "../../scripts/lib/mesh.mjs";
import { Surface } from "./surface";

export interface Household {
  readonly desk: Device;
  readonly laptop: Device;
  /** The desk's page. */
  readonly first: Page;
  /** The laptop's page. */
  readonly second: Page;
  /** What went wrong in either page. */
  errors(): string[];
  close(): Promise<void>;
}

/** Starts all of it; both are members and connected. */
export async function household(): Promise<Household> {
  const [desk, laptop] = [new Device("Desk"), new Device("Laptop")];
  const surface = await Surface.start();
  await Promise.all([
    desk.serve("--bridge-port", "0"),
    laptop.serve("--bridge-port", "0", "--no-builtin-engine"),
  ]);
  await desk.cli("network", "create", "home");
  const { invite } = (await desk.cli("invite", "--approved")) as { invite: string };
  await laptop.follow(["join", invite, "--wait", "30"]).done;
  const open = (device: Device): Promise<Page> => surface.open(device, "", { reducedMotion: "reduce" });
  const [first, second] = [await open(desk), await open(laptop)];
  for (const page of [first, second]) await page.locator("[data-testid=status][data-phase=online]").waitFor();
  return {
    desk,
    laptop,
    first,
    second,
    errors: () => surface.errors(),
    close: async () => {
      await surface.close();
      await Promise.all([desk.remove(), laptop.remove()]);
    },
  };
}
