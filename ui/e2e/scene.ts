/** One screen to look at. */
import type { Page } from "playwright-core";

export interface Scene {
  fake: string;
  hash?: string;
  act?: (page: Page) => Promise<unknown>;
  /** Name of its picture in docs/images. */
  picture?: string;
}
