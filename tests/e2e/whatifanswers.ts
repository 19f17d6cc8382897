/** Invented answers of the what-if lab, so that its pages can be looked at with every kind of figure on them. */
import type { Page } from "@playwright/test"

const ARMS = ["as-is", "defer-7-d", "health-40", "prognosis"] as const
const REPLICATIONS = 40

const SCENARIO = {
  name: "defer-maintenance",
  title: "Does it pay to defer pump maintenance?",
  base: { devices: "type = 'centrifugal-pump'" },
  horizon_h: 720,
  replications: REPLICATIONS,
  metrics: ["failures", "availability", "cost", "alerts"],
  arms: [
    { name: "as-is", title: "As is", policy: { kind: "run_to_failure" } },
    { name: "defer-7-d", policy: { kind: "fixed_interval", every_h: 900 } },
    { name: "health-40", policy: { kind: "threshold", when: "health < 40" } },
    {
      name: "prognosis",
      policy: { kind: "prognosis", p_fail: 0.3, within_h: 168 },
      interventions: [{ load: { factor: 1.1, devices: "site = 'oslo'" } }],
    },
  ],
}

export const TEXT = `name: defer-maintenance
title: "Does it pay to defer pump maintenance?"
base:
  devices: "type = 'centrifugal-pump'"
horizon_h: 720
replications: ${REPLICATIONS}
metrics: [failures, availability, cost, alerts]
arms:
  - name: as-is
    policy:
      kind: run_to_failure
  - name: prognosis
    policy:
      kind: prognosis
      p_fail: 0.3
      within_h: 168
`

const DONE = {
  id: "e1",
  name: SCENARIO.name,
  title: SCENARIO.title,
  state: "done",
  progress: 1,
  message: "",
  by: "kari",
  created_at: "2026-01-31T12:00:00.000Z",
  started_at: "2026-01-31T12:00:01.000Z",
  ended_at: "2026-01-31T12:03:00.000Z",
  arms: ARMS,
  reference: "as-is",
  replications_done: REPLICATIONS,
  replications_wanted: REPLICATIONS,
  devices: { "centrifugal-pump": 12_480 },
  horizon_h: 720,
  forked_at: "2026-01-31T12:00:00.000Z",
  metrics: SCENARIO.metrics,
  trust:
    "Backtest on this fleet: 12 forks from the last 90 days. 90 % intervals for failures held 11 of 12 times (92 %).",
}
const RUNNING = {
  ...DONE,
  id: "e2",
  title: "Does a warm summer cost alerts?",
  state: "running",
  progress: 0.53,
  message: "interval ±3.1 %, asked ±2 %",
  started_at: new Date(Date.now() - 40_000).toISOString(),
  ended_at: null,
  replications_done: 21,
  trust: null,
}
const FAILED = {
  ...DONE,
  id: "e3",
  title: "Two crews or three?",
  state: "failed",
  progress: null,
  message: "a host went away; what was run is kept",
  replications_done: 0,
  devices: { "centrifugal-pump": 40 },
}

const PAIRED = { n: REPLICATIONS, correlation: 0.82, variance_ratio: 0.19 }
const SURE = { share_better: 0.975, share_better_low: 0.89, share_better_high: 0.99, p_mean_better: 0.9999 }
const UNSURE = { share_better: 0.55, share_better_low: 0.41, share_better_high: 0.68, p_mean_better: 0.71 }

type Triple = readonly [number, number, number]

function metric(
  name: string,
  better: string,
  unit: string,
  means: readonly Triple[],
  differences: readonly Triple[],
) {
  const arms = ARMS.map((arm, i) => {
    const [value, low, high] = means[i] as Triple
    const found = differences[i - 1]
    const isUnsure = found !== undefined && found[1] < 0 && found[2] > 0
    const difference = found && {
      value: found[0],
      low: found[1],
      high: found[2],
      ...PAIRED,
      ...(isUnsure ? UNSURE : SURE),
    }
    return { arm, value, low, high, n: REPLICATIONS, undefined: 0, difference: difference ?? null }
  })
  return { metric: name, better, unit, arms }
}

const RESULTS = {
  replications: REPLICATIONS,
  is_partial: false,
  level: 0.9,
  reference: "as-is",
  metrics: [
    metric(
      "failures",
      "lower",
      "",
      [
        [41.2, 40.1, 42.3],
        [44.3, 43.1, 45.5],
        [36, 35, 37],
        [33.1, 32.2, 34],
      ],
      [
        [3.1, 1.9, 4.4],
        [-5.2, -6.3, -4.1],
        [-8.1, -9.3, -7],
      ],
    ),
    metric(
      "availability",
      "higher",
      "1",
      [
        [0.9871, 0.9866, 0.9876],
        [0.9852, 0.9847, 0.9857],
        [0.9893, 0.9889, 0.9897],
        [0.9906, 0.9902, 0.991],
      ],
      [
        [-0.0019, -0.0023, -0.0015],
        [0.0022, 0.0018, 0.0026],
        [0.0035, 0.003, 0.004],
      ],
    ),
    metric(
      "cost",
      "lower",
      "EUR",
      [
        [212_300, 208_100, 216_500],
        [203_200, 199_000, 207_400],
        [211_100, 207_000, 215_200],
        [188_100, 184_900, 191_300],
      ],
      [
        [-9_100, -12_000, -6_300],
        [-1_200, -4_100, 1_800],
        [-24_200, -27_000, -21_500],
      ],
    ),
    metric(
      "alerts",
      "lower",
      "",
      [
        [27_400, 26_900, 27_900],
        [29_500, 29_000, 30_000],
        [23_800, 23_300, 24_300],
        [22_300, 21_800, 22_800],
      ],
      [
        [2_100, 1_700, 2_500],
        [-3_600, -4_000, -3_200],
        [-5_100, -5_500, -4_700],
      ],
    ),
  ],
}

function fan(arm: string, place: number) {
  const buckets = Array.from({ length: 30 }, (_, i) => i)
  const level = (i: number) => 5200 + 1800 * Math.sin(i / 6) + 90 * i * (1 - place * 0.5)
  const off = (by: number) => buckets.map((i) => Math.max(0, level(i) + by * (1 + i / 20)))
  const widths = [420, 820, 1300]
  return {
    arm,
    median: off(0),
    ranges: [0.5, 0.8, 0.95],
    low: widths.map((width) => off(-width)),
    high: widths.map((width) => off(width)),
    paths: [0, 1, 2, 3, 4].map((path) =>
      buckets.map((i) => Math.max(0, level(i) + 1100 * Math.sin(i * 1.7 + path * 2))),
    ),
  }
}

function fans(metricName: string, group: string) {
  return {
    metric: metricName,
    unit: metricName === "cost" ? "EUR" : "",
    group,
    groups: ["bergen", "oslo"],
    start_h: Array.from({ length: 30 }, (_, i) => i * 24),
    bucket_h: 24,
    arms: ARMS.map(fan),
  }
}

const TIMES = Array.from({ length: 400 }, (_, i) => i * 1.8)
const RERUN = {
  arm: "as-is",
  replication: 0,
  traces: [
    {
      device_id: "pump-1",
      at_h: TIMES,
      quantities: {
        health: TIMES.map((h) => (h < 500 ? 92 - (h / 500) ** 3 * 70 : 96)),
        vibration: TIMES.map((h) => (h < 500 ? 2 + (h / 500) ** 4 * 6 : 1.8) + 0.2 * Math.sin(h)),
        "wear.bearing-wear": TIMES.map((h) => (h < 500 ? h / 500 : (h - 500) / 900)),
        running: TIMES.map((h) => (h > 500 && h < 512 ? 0 : 1)),
      },
    },
  ],
}

const ESTIMATE = {
  devices: { "centrifugal-pump": 10_000 },
  arms: 2,
  replications: 20,
  device_steps: 17_280_000_000,
  seconds: 95,
  memory_mb: 1200,
  disk_mb: 85,
}

const TEMPLATES = {
  items: [
    { name: "defer-maintenance", title: "Does it pay to defer maintenance?", text: TEXT },
    { name: "heat-wave", title: "What does a warm week do?", text: TEXT },
    { name: "fleet-growth", title: "Do the crews keep up with a larger fleet?", text: TEXT },
  ],
}

/** Have the page given these answers; the rest of the platform answers for itself. */
export async function answerWhatIf(page: Page): Promise<void> {
  const experiments = [RUNNING, DONE, FAILED]
  const detail = (id: string) => ({
    ...(experiments.find((each) => each.id === id) ?? DONE),
    scenario: SCENARIO,
    scenario_text: TEXT,
    manifest: { twinfold: "0.2.0", seed: 1, fork: "sha256:5f0c", models: { "centrifugal-pump": 1 } },
    citation:
      "kari (2026): Does it pay to defer pump maintenance? Twinfold 0.2.0, experiment e1, seed 1, fork sha256:5f0c.",
  })
  await page.route("**/api/whatif/**", (route) => {
    const url = new URL(route.request().url())
    const [, , noun, id = "", part] = url.pathname.slice(1).split("/")
    const posted = route.request().postData() ?? ""
    if (noun === "templates") return route.fulfill({ json: TEMPLATES })
    if (noun === "check") {
      const line = posted.split("\n").findIndex((each) => each.includes("p_fail: 3"))
      const problems =
        line < 0
          ? []
          : [
              {
                line: line + 1,
                problem: "p_fail of arm 'prognosis' is 3",
                remedy: "give a number from 0 to 1",
              },
            ]
      const isMended = problems.length === 0
      return route.fulfill({
        json: { scenario: isMended ? SCENARIO : null, problems, estimate: isMended ? ESTIMATE : null },
      })
    }
    if (id === "") {
      if (route.request().method() === "POST") return route.fulfill({ status: 202, json: RUNNING })
      return route.fulfill({
        json: { items: experiments, total: experiments.length, next: null, previous: null },
      })
    }
    if (part === "results")
      return route.fulfill({
        json: { ...RESULTS, is_partial: id === "e2", replications: id === "e2" ? 21 : 40 },
      })
    if (part === "fans")
      return route.fulfill({
        json: fans(url.searchParams.get("metric") ?? "cost", url.searchParams.get("group") ?? ""),
      })
    if (part === "reruns") return route.fulfill({ json: RERUN })
    return route.fulfill({ json: detail(id) })
  })
}
