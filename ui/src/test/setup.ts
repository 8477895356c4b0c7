/** What jsdom lacks and the interface uses. */
import { clearMocks } from "@tauri-apps/api/mocks";
import { afterEach } from "vitest";

globalThis.ResizeObserver ??= class {
  observe(): void {}
  unobserve(): void {}
  disconnect(): void {}
};
Element.prototype.scrollTo ??= () => undefined;
Element.prototype.scrollIntoView ??= () => undefined;

afterEach(() => {
  clearMocks();
  localStorage.clear();
  location.hash = "";
});
