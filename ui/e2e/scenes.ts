/** Every screen, as the address of an invented situation and what to do there. */
import type { Page } from "playwright-core";
import { COMPUTE_SCENES } from "./compute-scenes";
import { DOCUMENT_SCENES } from "./document-scenes";
import { checked, NETWORK_SCENES } from "./network-scenes";
import type { Scene } from "./scene";

const press = (name: string | RegExp) => (page: Page) => page.getByRole("button", { name }).first().click();

async function ask(page: Page, text: string): Promise<void> {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.keyboard.press("Enter");
}

async function chooseDesk(page: Page): Promise<void> {
  await page.getByTestId("route").click();
  await page.getByRole("menuitem", { name: /^Desk/ }).click();
}

const step2 = press("Continue");

export const SCENES: Record<string, Scene> = {
  "welcome, name": { fake: "first-run", picture: "welcome-name" },
  "welcome, network": { fake: "first-run", act: step2, picture: "welcome-network" },
  "welcome, founding": {
    fake: "first-run",
    act: async (page) => {
      await step2(page);
      await press(/^Found a network/)(page);
    },
  },
  "welcome, knocking": {
    fake: "first-run",
    picture: "knocking",
    act: async (page) => {
      await step2(page);
      await press(/^Join with an invite/)(page);
      await page.getByLabel("Invite link").fill("myownllm://join/abc");
      await press("Knock")(page);
      await page.getByTestId("code").waitFor();
    },
  },
  "welcome, first chat": {
    fake: "first-run",
    picture: "welcome-chat",
    act: async (page) => {
      await step2(page);
      await press("Skip this step")(page);
    },
  },
  chat: { fake: "home", hash: "#/chat/c1", picture: "chat" },
  "an answer with formulas": {
    fake: "home",
    hash: "#/chat/c4",
    act: (page) => page.locator("math").first().waitFor(),
  },
  "new chat": { fake: "home", hash: "#/chat", picture: "chat-new" },
  "new chat, demo only": { fake: "alone", hash: "#/chat" },
  "an answer being written": {
    fake: "home",
    hash: "#/chat/c2",
    picture: "chat-streaming",
    act: async (page) => {
      await ask(page, "Make it three courses, and give me the times for one evening.");
      await page.getByText("Plum crumble").waitFor();
    },
  },
  "an answer that failed": { fake: "failed", hash: "#/chat/c1", picture: "chat-failed" },
  "the chosen device is away": { fake: "away", hash: "#/chat/c1", act: chooseDesk, picture: "chat-away" },
  "a message that waits": {
    fake: "away",
    hash: "#/chat/c1",
    act: async (page) => {
      await chooseDesk(page);
      await ask(page, "And for PNG screenshots?");
      await page.getByText("Your message waits for Desk.").waitFor();
    },
  },
  "route picker": {
    fake: "home",
    hash: "#/chat/c1",
    act: (page) => page.getByTestId("route").click(),
    picture: "route-picker",
  },
  "model picker": { fake: "home", hash: "#/chat/c1", act: (page) => page.getByTestId("model").click() },
  "network switcher": {
    fake: "home",
    hash: "#/chat/c1",
    act: (page) => page.getByTestId("switcher").click(),
  },
  "lending policy": { fake: "home", hash: "#/chat/c1", act: press(/^Laptop, lending/) },
  status: { fake: "trouble", hash: "#/chat/c1", act: (page) => page.getByTestId("status").click() },
  "device details": { fake: "home", hash: "#/chat/c1", act: press(/^Attic server/), picture: "device" },
  "command palette": {
    fake: "home",
    hash: "#/chat/c1",
    act: (page) => page.keyboard.press("Control+k"),
    picture: "palette",
  },
  invite: {
    fake: "home",
    hash: "#/chat/c1",
    picture: "invite",
    act: async (page) => {
      await press("Invite a device")(page);
      await page.getByTestId("invite").waitFor();
    },
  },
  "invite that lets in": {
    fake: "home",
    hash: "#/chat/c1",
    picture: "invite-approved",
    act: async (page) => {
      await press("Invite a device")(page);
      await page.getByRole("radio", { name: "Let in at once" }).click();
      await press("Make invite")(page);
      await page.getByTestId("qr").waitFor();
    },
  },
  "joining, with a device nearby": {
    fake: "near",
    hash: "#/chat/c1",
    picture: "join",
    act: async (page) => {
      await page.getByTestId("switcher").click();
      await page.getByRole("menuitem", { name: "Join a network" }).click();
      await page.getByRole("button", { name: "Knock at family" }).waitFor();
    },
  },
  "joining, nothing nearby": {
    fake: "unheard",
    hash: "#/chat/c1",
    act: async (page) => {
      await page.getByTestId("switcher").click();
      await page.getByRole("menuitem", { name: "Join a network" }).click();
      await page.getByText("No multicast route").waitFor();
    },
  },
  "joining by an opened link": {
    fake: "home&link=myownllm%3A%2F%2Fjoin%2Fv1.eyJuIjoiaG9tZSJ9",
    act: (page) => page.getByText("From the link you opened").waitFor(),
  },
  "joining that failed, and why": {
    fake: "first-run",
    act: async (page) => {
      await step2(page);
      await press(/^Join with an invite/)(page);
      await page.getByLabel("Invite link").fill("myownllm://join/unreachable");
      await press("Knock")(page);
      await press("Find out why")(page);
      await checked(page);
    },
  },
  "knocking with an invite that is used up": {
    fake: "home",
    hash: "#/chat/c1",
    act: async (page) => {
      await page.getByTestId("switcher").click();
      await page.getByRole("menuitem", { name: "Join a network" }).click();
      await page.getByLabel("Invite link").fill("myownllm://join/used-up");
      await page.getByRole("dialog").getByRole("button", { name: "Knock", exact: true }).click();
      await page.getByTestId("code").waitFor();
    },
  },
  "switcher with a network that is over": {
    fake: "removed-near",
    hash: "#/chat/c1",
    picture: "switcher",
    act: (page) => page.getByTestId("switcher").click(),
  },
  "knock passed on": { fake: "passed", hash: "#/chat/c1", picture: "knock-passed-on" },
  knock: { fake: "knock", hash: "#/chat/c1", picture: "knock" },
  "knock of a look-alike": { fake: "lookalike", hash: "#/chat/c1" },
  "codes that differ": {
    fake: "knock",
    hash: "#/chat/c1",
    picture: "knock-different",
    act: async (page) => {
      await press("They are different")(page);
      await page.getByText("Turned away").waitFor();
    },
  },
  "settings, general": { fake: "home", hash: "#/settings/general", picture: "settings-general" },
  "settings, networks": { fake: "home", hash: "#/settings/networks", picture: "settings-networks" },
  "settings, no network": { fake: "first-run", hash: "#/settings/networks", act: skipWelcome },
  "settings, a network": {
    fake: "home",
    hash: `#/settings/networks/${"1".repeat(64)}`,
    picture: "settings-network",
  },
  ...NETWORK_SCENES,
  ...DOCUMENT_SCENES,
  ...COMPUTE_SCENES,
  "settings, devices": { fake: "home", hash: "#/settings/devices", picture: "settings-devices" },
  "settings, a device": {
    fake: "home",
    hash: `#/settings/devices/${"d".repeat(64)}`,
    picture: "settings-device",
  },
  "removing a device": {
    fake: "home",
    hash: `#/settings/devices/${"d".repeat(64)}`,
    act: press("Remove…"),
  },
  "settings, engines": { fake: "home", hash: "#/settings/engines", picture: "settings-engines" },
  "adding an engine": { fake: "home", hash: "#/settings/engines", act: press("Add an engine") },
  "settings, local API": {
    fake: "home",
    hash: "#/settings/api",
    picture: "settings-api",
    act: (page) => page.getByText("For OpenAI’s clients").waitFor(),
  },
  "settings, about": { fake: "home", hash: "#/settings/about", picture: "settings-about" },
  starting: { fake: "starting" },
  "another version": { fake: "mismatch", picture: "version-mismatch" },
  "a daemon that did not start": { fake: "broken", picture: "daemon-failed" },
  "a lost daemon": {
    fake: "lost",
    hash: "#/chat/c1",
    picture: "daemon-lost",
    act: (page) => page.getByTestId("lost").waitFor(),
  },
};

async function skipWelcome(page: Page): Promise<void> {
  await press("Skip this step")(page);
  await press("Skip this step")(page);
  await press("Skip to the app")(page);
}
