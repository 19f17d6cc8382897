/** The browser tests: Debian's Chromium against a simulated fleet with its API, started for them. */
import { defineConfig } from "@playwright/test"

/** Where the session lies in which the tests go on; they find it in the environment. */
const SESSION = "test-results/session.json"
process.env.TWINFOLD_SESSION = SESSION

const port = Number(process.env.TWINFOLD_E2E_PORT ?? 8765)
const given = process.env.TWINFOLD_URL
const python = process.env.PYTHON ?? "../.venv/bin/python"
/** Documents want pictures of a fleet to which something has happened; tests want one that is there at once. */
const fleet = process.env.TWINFOLD_PICTURES
  ? "--share 0.05 --warm-minutes 45"
  : "--share 0.02 --warm-minutes 30"

export default defineConfig({
  testDir: "../tests/e2e",
  testIgnore: "platform/**", // those start platforms of their own, see playwright.platform.config.ts
  outputDir: "test-results",
  fullyParallel: false,
  workers: 1,
  timeout: 60_000,
  expect: { timeout: 15_000 },
  reporter: [["line"]],
  use: {
    baseURL: given ?? `http://127.0.0.1:${port}`,
    viewport: { width: 1440, height: 900 },
    timezoneId: "Europe/Oslo",
    screenshot: "only-on-failure", // a trace (`--trace on`) costs as much again as the test
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
    },
  },
  projects: [
    { name: "session", testMatch: "session.setup.ts" },
    { name: "app", dependencies: ["session"], use: { storageState: SESSION } },
  ],
  webServer: given
    ? undefined
    : {
        command: `${python} ../tests/e2e/devfleet.py --port ${port} ${fleet}`,
        env: { PYTHONPATH: ".." },
        url: `http://127.0.0.1:${port}/api/health`,
        timeout: 600_000,
        stderr: "pipe",
      },
})
