/** Where an answer runs, models, lending, usage, the local API. */
import type { Page } from "playwright-core";
import type { Scene } from "./scene";

const text = (words: string | RegExp) => (page: Page) => page.getByText(words).first().waitFor();
const button = (name: string | RegExp) => (page: Page) => page.getByRole("button", { name }).first().click();

async function write(page: Page, words: string): Promise<void> {
  await page.getByLabel("Message", { exact: true }).fill(words);
  await text(/first word in about/)(page);
}

async function ask(page: Page, words: string): Promise<void> {
  await page.getByLabel("Message", { exact: true }).fill(words);
  await page.keyboard.press("Enter");
}

const waiting = (fake: string, words: RegExp): Scene => ({
  fake,
  hash: "#/chat/c2",
  act: async (page) => {
    await ask(page, "Make it three courses.");
    await text(words)(page);
  },
});

export const COMPUTE_SCENES: Record<string, Scene> = {
  "a plan": { fake: "home", hash: "#/chat/c2", act: (page) => write(page, "Make it three courses.") },
  "a plan, and why": {
    fake: "home",
    hash: "#/chat/c2",
    picture: "chat-plan",
    act: async (page) => {
      await write(page, "Make it three courses, and give me the times for one evening.");
      await button("Why there?")(page);
    },
  },
  "an answer that waits its turn": { ...waiting("queued", /2 go first/), picture: "chat-queued" },
  "an answer whose model loads": waiting("loading", /loads qwen3-8b, 40 %/),
  "an answer that is being prepared": waiting("prefill", /reads your message, 60 %/),
  "an answer whose link is lost": waiting("reconnecting", /Reconnecting/),
  "an answer that changed hands": {
    fake: "handed",
    hash: "#/chat/c1",
    picture: "chat-seam",
    act: async (page) => {
      await text("Attic server goes on from here.")(page);
      await page.getByRole("button", { name: "Times" }).last().click();
    },
  },
  "going on with another model": {
    fake: "failed",
    hash: "#/chat/c1",
    act: button("Go on with another model"),
  },
};
