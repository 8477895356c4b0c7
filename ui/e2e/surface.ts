/** The built interface, served on loopback, and pages of it in Chromium: each speaks with one real daemon. */
import { join } from "node:path";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { preview, type PreviewServer } from "vite";
import type { Device } from "../../scripts/lib/mesh.mjs";
import { errorsOf, launch } from "./browser";

/** How long an action on a page may take, in milliseconds. */
const PATIENCE = 20_000;

export class Surface {
  readonly #server: PreviewServer;
  readonly #browser: Browser;
  readonly #errors: string[][] = [];

  private constructor(server: PreviewServer, browser: Browser) {
    this.#server = server;
    this.#browser = browser;
  }

  static async start(): Promise<Surface> {
    const server = await preview({
      root: join(import.meta.dirname, ".."),
      configFile: false,
      preview: { port: 0, host: "127.0.0.1" },
      logLevel: "error",
    });
    return new Surface(server, await launch());
  }

  /** Where the interface of a device is; `more` follows in the query. */
  address(device: Device, more = ""): string {
    const bridge = new URL(device.ready.bridge);
    const base = this.#server.resolvedUrls?.local[0] ?? "";
    return `${base}?bridge=${bridge.port}&token=${bridge.searchParams.get("token")}${more}`;
  }

  /** Opens it in a window of its own: nothing is shared with others. */
  async open(device: Device, more = "", options: BrowserContextOptions = {}): Promise<Page> {
    const context = await this.#browser.newContext({
      viewport: { width: 1280, height: 800 },
      permissions: ["clipboard-read", "clipboard-write"],
      ...options,
    });
    context.setDefaultTimeout(PATIENCE);
    const page = await context.newPage();
    this.#errors.push(errorsOf(page));
    await page.goto(this.address(device, more));
    return page;
  }

  /** What went wrong in any page. */
  errors(): string[] {
    return this.#errors.flat();
  }

  async close(): Promise<void> {
    await this.#browser.close();
    await this.#server.close();
  }
}
