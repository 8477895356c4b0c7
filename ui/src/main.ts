/** Starts the interface over whatever stands behind it. */
import { mount } from "svelte";
import App from "./App.svelte";
import "./app.css";
import { t } from "./i18n";
import { chooseBackend } from "./ipc";
import { App as State } from "./state/app.svelte";

const target = document.getElementById("app");
const backend = await chooseBackend(new URLSearchParams(location.search));

if (target && backend) mount(App, { target, props: { app: new State(backend) } });
else if (target) target.textContent = t("noBackend");
