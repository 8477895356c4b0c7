/** What jsdom lacks and the interface uses. */
import { afterEach } from "vitest";

globalThis.ResizeObserver ??= class {
  observe(): void {}
  unobserve(): void {}
  disconnect(): void {}
};
Element.prototype.scrollTo ??= () => undefined;
Element.prototype.scrollIntoView ??= () => undefined;

afterEach(() => {
  localStorage.clear();
  location.hash = "";
});
