import { getContext, setContext } from "svelte";
import type { App } from "./app.svelte";

const KEY = Symbol("app");

/** Gives the state of the window to every component below. */
export const provideApp = (app: App): App => setContext(KEY, app);

/** The state of the window. */
export const useApp = (): App => getContext<App>(KEY);
