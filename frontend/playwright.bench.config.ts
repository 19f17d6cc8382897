/** Figures of the app in a browser, with `npm run bench`; as the tests run, against the same kind of fleet. */
import { defineConfig } from "@playwright/test"
import tests from "./playwright.config"

export default defineConfig({
  ...tests,
  testDir: "../bench/app",
  testIgnore: [],
  projects: [{ name: "bench" }],
  timeout: 600_000,
})
