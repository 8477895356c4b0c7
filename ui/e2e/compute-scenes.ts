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
  "models, here": { fake: "home", hash: "#/models/here", picture: "models", act: text("gemma-3-27b-it") },
  "models, one menu": { fake: "home", hash: "#/models/here", act: button("More for gemma-3-27b-it-Q4_K_M") },
  "models, deleting one": {
    fake: "home",
    hash: "#/models/here",
    act: async (page) => {
      await button("More for gemma-3-27b-it-Q4_K_M")(page);
      await page.getByRole("menuitem", { name: "Delete…" }).click();
      await text("which frees 16.5 GB")(page);
    },
  },
  "models, downloads": {
    fake: "unsound",
    hash: "#/models/catalogue",
    picture: "models-downloads",
    act: async (page) => {
      await button("Get gemma-3-12b-q4_k_m")(page);
      await button("Get qwen3-coder-30b-a3b-q4_k_m")(page);
      await button("Get qwen3-14b-q4_k_m")(page);
      await page.getByRole("link", { name: "On this device" }).click();
      await text("is not what the hub named")(page);
      await button("Pause gemma-3-12b-q4_k_m")(page);
      await text("Paused")(page);
    },
  },
  "models, a file of one's own": {
    fake: "home",
    hash: "#/models/here",
    act: async (page) => {
      await button("Use a file")(page);
      await page.getByLabel("Path of the file").fill("/home/mira/notes.txt");
      await button("Use it")(page);
      await text("is not a GGUF file")(page);
    },
  },
  "models, none yet": { fake: "bare", hash: "#/models/here", act: text("No model on this device") },
  "models, catalogue": {
    fake: "home",
    hash: "#/models/catalogue",
    picture: "models-catalogue",
    act: text("Llama 3.3 70B"),
  },
  "models, why one fits badly": {
    fake: "home",
    hash: "#/models/catalogue",
    act: async (page) => {
      await page
        .getByRole("button", { name: /^Tight:/ })
        .first()
        .focus();
      await text("nothing is left for other programs")(page);
    },
  },
  "models, where to get one from": {
    fake: "unsound",
    hash: "#/models/catalogue",
    act: button("Where to get qwen3-14b-q4_k_m from"),
  },
  "models, nothing found": {
    fake: "home",
    hash: "#/models/catalogue",
    act: async (page) => {
      await page.getByLabel("Search models").fill("speech in Frisian");
      await text("No model of the catalogue fits")(page);
    },
  },
  "models, catalogue source": { fake: "home", hash: "#/models/catalogue", act: button("Catalogue source") },
  "models of the others": { fake: "home", hash: "#/models/others", act: text("llama-3.3-70b") },
  lending: { fake: "home", hash: "#/settings/lending", picture: "lending", act: text("Running for others") },
  "lending, ways to pause": { fake: "home", hash: "#/settings/lending", act: button("Pause") },
  "lending, paused": { fake: "paused", hash: "#/settings/lending", act: text("Paused until you lend again") },
  "lending, rules for one": {
    fake: "home",
    hash: "#/settings/lending",
    act: async (page) => {
      await button(/^Phone.*1 at once/)(page);
      await page.getByTestId("member-rules").last().scrollIntoViewIfNeeded();
    },
  },
  "lending, no network": {
    fake: "first-run",
    hash: "#/settings/lending",
    act: async (page) => {
      for (const name of ["Skip this step", "Skip this step", "Skip to the app"]) await button(name)(page);
      await text("none is active now")(page);
    },
  },
  usage: { fake: "home", hash: "#/settings/usage", picture: "usage", act: text("not compared yet") },
  "usage, nothing yet": { fake: "unused", hash: "#/settings/usage", act: text("Nothing yet") },
  "local API, the whole page": {
    fake: "home",
    hash: "#/settings/api",
    act: async (page) => {
      await text("refused with 404")(page);
      await page.getByTestId("request").last().scrollIntoViewIfNeeded();
    },
  },
  "local API, a key required": { fake: "locked", hash: "#/settings/api", act: text("A key is required") },
  "local API, a new key": { fake: "home", hash: "#/settings/api", act: button("New key") },
  "local API, the key this once": {
    fake: "home",
    hash: "#/settings/api",
    picture: "api-key",
    act: async (page) => {
      await button("New key")(page);
      await page.getByLabel("Name", { exact: true }).fill("Home assistant");
      await button("Make key")(page);
      await page.getByTestId("secret").waitFor();
    },
  },
  "comparing, before": { fake: "home", hash: "#/compare", act: text("One question, several devices") },
  comparing: {
    fake: "home",
    hash: "#/compare",
    picture: "compare",
    act: async (page) => {
      await page.getByRole("radio", { name: "3", exact: true }).click();
      const field = page.getByLabel("Question to several devices");
      await field.fill("Plan a dinner for eight. Two are vegan, one hates coriander.");
      await field.press("Enter");
      await page.getByText("soonest").waitFor({ timeout: 20_000 });
    },
  },
  "going on with another model": {
    fake: "failed",
    hash: "#/chat/c1",
    act: button("Go on with another model"),
  },
};
