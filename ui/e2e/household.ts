/** Two real daemons in one network, each with the interface in a page of Chromium. The desk has the built-in engine. */
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { preview } from "vite";
import { Device } from "../../scripts/lib/mesh.mjs";
import { errorsOf, launch } from "./browser";

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

async function open(browser: Browser, base: string, device: Device, errors: string[][]): Promise<Page> {
  const bridge = new URL(device.ready.bridge);
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    reducedMotion: "reduce",
  });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  errors.push(errorsOf(page));
  await page.goto(`${base}?bridge=${bridge.port}&token=${bridge.searchParams.get("token")}`);
  await page.getByTestId("status").waitFor();
  return page;
}

/** Starts all of it; both are members and connected. */
export async function household(): Promise<Household> {
  const [desk, laptop] = [new Device("Desk"), new Device("Laptop")];
  const server = await preview({
    root: join(import.meta.dirname, ".."),
    configFile: false,
    preview: { port: 0, host: "127.0.0.1" },
    logLevel: "error",
  });
  const browser = await launch();
  await Promise.all([
    desk.serve("--bridge-port", "0"),
    laptop.serve("--bridge-port", "0", "--no-builtin-engine"),
  ]);
  await desk.cli("network", "create", "home");
  const { invite } = (await desk.cli("invite", "--approved")) as { invite: string };
  await laptop.follow(["join", invite, "--wait", "30"]).done;
  const errors: string[][] = [];
  const base = server.resolvedUrls?.local[0] ?? "";
  const first = await open(browser, base, desk, errors);
  const second = await open(browser, base, laptop, errors);
  for (const page of [first, second]) await page.locator("[data-testid=status][data-phase=online]").waitFor();
  return {
    desk,
    laptop,
    first,
    second,
    errors: () => errors.flat(),
    close: async () => {
      await browser.close();
      await server.close();
      await Promise.all([desk.remove(), laptop.remove()]);
    },
  };
}
