import { defineConfig } from "vitest/config";

/** Tests in Chromium: every screen over an invented daemon, and the whole story over real ones. */
export default defineConfig({
  test: {
    environment: "node",
    include: ["e2e/**/*.test.ts"],
    fileParallelism: false,
    testTimeout: 90_000,
    hookTimeout: 120_000,
  },
});
