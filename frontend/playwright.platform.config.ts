/**
 * Drills: the browser against whole platforms on Ray. Each test starts its own; figures are printed as lines of JSON.
 */
import { defineConfig } from "@playwright/test"
import base from "./playwright.config"

export default defineConfig({
  ...base,
  testDir: "../tests/e2e/platform",
  testIgnore: [],
  timeout: 1_800_000,
  expect: { timeout: 60_000 },
  webServer: undefined,
  projects: [{ name: "drill", testMatch: "*.drill.ts" }],
})
