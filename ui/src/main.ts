/** Starts the interface over whatever stands behind it. */
import { mount } from "svelte";
import App from "./App.svelte";
import "./app.css";
import { t } from "./i18n";
import { chooseBackend } from "./ipc";
import { App as State } from "./state/app.svelte";

// Not awaited at the top level: the chunks that it loads import this one, and each would wait for the other.
async function start(target: HTMLElement): Promise<void> {
  const backend = await chooseBackend(new URLSearchParams(location.search));
  if (backend) mount(App, { target, props: { app: new State(backend) } });
  else target.textContent = t("noBackend");
}

const target = document.getElementById("app");
if (target) void start(target);
