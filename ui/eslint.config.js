// Lint rules, and the layers of the interface: ipc <- state <- components <- views.
import js from "@eslint/js";
import prettier from "eslint-config-prettier";
import svelte from "eslint-plugin-svelte";
import globals from "globals";
import ts from "typescript-eslint";
import svelteConfig from "./svelte.config.js";

/** A layer may not import from these; `types` says whether their types are still allowed. */
const forbid = (layers, message, types = false) => ({
  "@typescript-eslint/no-restricted-imports": [
    "error",
    { patterns: [{ regex: `/(${layers.join("|")})(/|$)`, message, allowTypeImports: types }] },
  ],
});

export default ts.config(
  { ignores: ["dist", "src/ipc/bindings.ts"] },
  js.configs.recommended,
  ...ts.configs.strict,
  ...svelte.configs.recommended,
  prettier,
  ...svelte.configs.prettier,
  {
    languageOptions: { globals: { ...globals.browser, ...globals.node } },
    rules: {
      "no-undef": "off",
      eqeqeq: "error",
      "max-lines": ["error", { max: 300, skipBlankLines: true }],
      // Private bookkeeping and local values need no reactivity; what is shown is `$state`.
      "svelte/prefer-svelte-reactivity": "off",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
    },
  },
  {
    files: ["**/*.svelte", "**/*.svelte.ts"],
    languageOptions: {
      parserOptions: { parser: ts.parser, extraFileExtensions: [".svelte"], svelteConfig },
    },
  },
  // A flat table of invented answers.
  { files: ["src/ipc/fake/methods.ts"], rules: { "max-lines": "off" } },
  { files: ["**/*.svelte"], rules: { "max-lines": ["error", 250] } },
  {
    files: ["src/ipc/**"],
    ignores: ["**/*.test.ts"],
    rules: forbid(["state", "components", "views", "i18n"], "ipc imports nothing of ours."),
  },
  {
    files: ["src/state/**"],
    ignores: ["**/*.test.ts"],
    rules: forbid(["components", "views"], "State does not know what shows it."),
  },
  {
    files: ["src/components/**"],
    ignores: ["**/*.test.ts"],
    rules: forbid(["ipc", "views"], "Components see the daemon only through state; types are fine.", true),
  },
);
