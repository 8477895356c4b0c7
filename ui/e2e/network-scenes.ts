/** The pages of one network, and the doctor. */
import type { Page } from "playwright-core";
import type { Scene } from "./scene";

const page = (network: string, part = "status"): string =>
  `#/settings/networks/${network.repeat(64)}/${part}`;

export async function checked(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Copy report" }).waitFor();
}

export const NETWORK_SCENES: Record<string, Scene> = {
  "network, members": {
    fake: "home",
    hash: page("1", "members"),
    picture: "network-members",
    act: (page) => page.getByTestId("removal").waitFor(),
  },
  "network, removing a member": {
    fake: "home",
    hash: page("1", "members"),
    act: async (page) => {
      await page.getByRole("button", { name: "Remove Attic server" }).click();
      await page.getByRole("button", { name: "Remove this device" }).click();
      await page.getByText("Attic server was removed.").waitFor();
    },
  },
  "network, members of one that is not active": {
    fake: "home",
    hash: page("2", "members"),
  },
  "network, connections": {
    fake: "home",
    hash: page("1", "connections"),
    picture: "network-connections",
    act: (page) => page.getByRole("cell", { name: /kB\/s/ }).first().waitFor(),
  },
  "network, no connections yet": {
    fake: "alone",
    hash: page("1", "connections"),
    act: (page) => page.getByText("Nothing to connect to yet").waitFor(),
  },
  "network, governance": {
    fake: "passed",
    hash: page("1", "governance"),
    picture: "network-governance",
    act: async (page) => {
      await page.keyboard.press("Escape");
      await page.getByTestId("decision").first().waitFor();
    },
  },
  "network, a device that lied": {
    fake: "lied",
    hash: page("1", "governance"),
    act: (page) => page.getByText("signed two different records").first().waitFor(),
  },
  "network, changing who may admit": {
    fake: "home",
    hash: page("1", "governance"),
    act: (page) => page.getByRole("radio", { name: "Every member may let devices in" }).click(),
  },
  "network, activity": {
    fake: "home",
    hash: page("1", "activity"),
    picture: "network-activity",
    act: (page) => page.getByTestId("activity").first().waitFor(),
  },
  "network, activity, nothing fits": {
    fake: "home",
    hash: page("1", "activity"),
    act: async (page) => {
      await page.getByLabel("Search activities").fill("nothing like this");
      await page.getByText("Nothing fits").waitFor();
    },
  },
  "network, relays": {
    fake: "home",
    hash: page("1", "relays"),
    picture: "network-relays",
    act: (page) => page.getByText("relay.studio.example").first().waitFor(),
  },
  "network, nothing contacts the internet": {
    fake: "air-gapped",
    hash: page("1", "relays"),
    act: (page) => page.getByTestId("silent").waitFor(),
  },
  "network, removed from it": {
    fake: "removed",
    hash: page("3"),
    picture: "network-removed",
  },
  "doctor, this device": { fake: "home", hash: "#/doctor", act: checked, picture: "doctor" },
  "doctor, a device that is away": {
    fake: "home",
    hash: `#/doctor/${"f".repeat(64)}`,
    act: checked,
    picture: "doctor-device",
  },
};
