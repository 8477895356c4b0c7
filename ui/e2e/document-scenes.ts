/** Prompts, permissions, and how documents keep themselves in step. */
import type { Page } from "playwright-core";
import type { Scene } from "./scene";

const network = (part: string): string => `#/settings/networks/${"1".repeat(64)}/${part}`;
const button = (name: string | RegExp) => (page: Page) => page.getByRole("button", { name }).first().click();
const text = (words: string) => (page: Page) => page.getByText(words).first().waitFor();

async function composer(page: Page, words: string): Promise<void> {
  await page.getByLabel("Message", { exact: true }).pressSequentially(words);
}

export const DOCUMENT_SCENES: Record<string, Scene> = {
  prompts: {
    fake: "home",
    hash: "#/settings/prompts",
    picture: "prompts",
    act: (page) => page.getByTestId("prompt").first().waitFor(),
  },
  "prompts, one just deleted": {
    fake: "home",
    hash: "#/settings/prompts",
    act: async (page) => {
      await button("More for Kitchen planner")(page);
      await page.getByRole("menuitem", { name: "Delete" }).click();
      await text("was deleted on all devices")(page);
    },
  },
  "prompts, what can be done with one": {
    fake: "home",
    hash: "#/settings/prompts",
    act: button("More for Careful code review"),
  },
  "prompts, a file that is broken": {
    fake: "home",
    hash: "#/settings/prompts",
    act: async (page) => {
      const file = {
        name: "prompts.json",
        mimeType: "application/json",
        buffer: Buffer.from('{"prompts": ['),
      };
      await page.locator("input[type=file]").setInputFiles(file);
      await text("is not whole JSON")(page);
    },
  },
  "prompts, none yet": { fake: "unwritten", hash: "#/settings/prompts", act: text("No prompts yet") },
  "prompts, nothing found": {
    fake: "home",
    hash: "#/settings/prompts",
    act: async (page) => {
      await page.getByLabel("Search prompts").fill("quantum");
      await text("No prompt contains")(page);
    },
  },
  "a prompt": { fake: "home", hash: "#/settings/prompts/letter", picture: "prompt" },
  "a prompt, as it will look": {
    fake: "home",
    hash: "#/settings/prompts/letter",
    act: (page) => page.getByRole("radio", { name: "Preview" }).click(),
  },
  "a prompt, its history": {
    fake: "home",
    hash: "#/settings/prompts/letter/history",
    picture: "prompt-history",
    act: async (page) => {
      await page.getByTestId("version").nth(1).getByRole("button").first().click();
      await text("What restoring it would change.")(page);
    },
  },
  "a prompt that is gone": {
    fake: "home",
    hash: "#/settings/prompts/unknown",
    act: text("This prompt is gone"),
  },
  "a new prompt": {
    fake: "home",
    hash: "#/settings/prompts/%2B",
    act: async (page) => {
      await page.getByLabel("What the model is told").fill("Explain {{topic}} to {{reader}}.");
      await page.getByTestId("variable").first().waitFor();
    },
  },
  "choosing a prompt": {
    fake: "home",
    hash: "#/chat/c1",
    picture: "prompt-picker",
    act: async (page) => {
      await composer(page, "/");
      await page.getByRole("option").first().waitFor();
    },
  },
  "filling a prompt in": {
    fake: "home",
    hash: "#/chat",
    act: async (page) => {
      await composer(page, "/letter");
      await page.keyboard.press("Enter");
      await text("Fill in what this prompt needs.")(page);
    },
  },
  "a prompt in use": {
    fake: "home",
    hash: "#/chat",
    act: async (page) => {
      await composer(page, "/letter");
      await page.keyboard.press("Enter");
      await page.getByLabel("To which office").fill("the tax office");
      await page.keyboard.press("Enter");
      await page.getByTestId("prompt-chip").waitFor();
    },
  },
  permissions: {
    fake: "proposed",
    hash: "#/settings/permissions",
    picture: "permissions",
    act: (page) => page.getByTestId("proposal").first().waitFor(),
  },
  "permissions, limits": {
    fake: "home",
    hash: "#/settings/permissions",
    act: button(/^Read files: Only in/),
  },
  "permissions, adding a tool": {
    fake: "home",
    hash: "#/settings/permissions",
    act: button("Add an MCP tool"),
  },
  "network, sync": {
    fake: "home",
    hash: network("sync"),
    picture: "sync",
    act: (page) => page.getByTestId("sync-mark").first().waitFor(),
  },
  "network, sync switched off": {
    fake: "switched-off",
    hash: network("sync"),
    act: (page) => page.getByTestId("sync-mark").first().waitFor(),
  },
  "documents without a network": {
    fake: "first-run",
    hash: "#/settings/permissions",
    act: async (page) => {
      for (const words of ["Skip this step", "Skip this step", "Skip to the app"]) await button(words)(page);
      await text("No rules to show")(page);
    },
  },
  "conversations of another device": {
    fake: "home",
    hash: "#/chat/c1",
    act: async (page) => {
      await button("Conversations that Desk shows")(page);
      await text("Titles only.")(page);
    },
  },
  "what can be done with a conversation": {
    fake: "home",
    hash: "#/chat/c1",
    act: async (page) => {
      await page.getByLabel("More for Dinner for eight, two vegan").focus();
      await page.keyboard.press("Enter");
      await page.getByRole("menuitem", { name: "Keep private" }).waitFor();
    },
  },
  "moving conversations": {
    fake: "home",
    hash: "#/chat/c1",
    act: async (page) => {
      for (const title of ["Names for a boat", "Dinner for eight, two vegan"])
        await page.getByRole("link", { name: title }).click({ modifiers: ["ControlOrMeta"] });
      await text("2 selected")(page);
      await button("Move…")(page);
      await page.getByLabel("New folder").waitFor();
    },
  },
  "settings, an older device": {
    fake: "home",
    hash: `#/settings/devices/${"f".repeat(64)}`,
    act: text("older than 0.1.0"),
  },
};
