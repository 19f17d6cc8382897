/** What a browser tells of a load: paints, shifts of the layout, and tasks during which it heard nobody. */
import type { Page } from "@playwright/test"
import type { Measured } from "./lighthouse"

/** A page has loaded once nothing of this has happened for so long. */
const QUIET_MS = 5000
const PATIENCE_MS = 90_000

/** A task hears nobody for what it takes beyond this. */
const UNNOTICED_MS = 50

/** Shifts less than `GAP_MS` apart count together, for up to `WINDOW_MS`. */
const GAP_MS = 1000
const WINDOW_MS = 5000

interface Stretch {
  readonly start: number
  readonly end: number
}

interface Observed {
  first: number
  largest: number
  readonly shifts: { readonly at: number; readonly value: number }[]
  readonly tasks: Stretch[]
}

declare global {
  interface Window {
    observed: Observed
  }
}

/** Begins with the next document that the page loads. */
export async function observe(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const observed: Observed = { first: 0, largest: 0, shifts: [], tasks: [] }
    window.observed = observed
    const each = (type: string, told: (entry: PerformanceEntry) => void) =>
      new PerformanceObserver((list) => list.getEntries().forEach(told)).observe({ type, buffered: true })
    each("paint", ({ name, startTime }) => {
      if (name === "first-contentful-paint") observed.first = startTime
    })
    each("largest-contentful-paint", ({ startTime }) => {
      observed.largest = startTime
    })
    each("layout-shift", (entry) => {
      const { value } = entry as PerformanceEntry & { readonly value: number }
      observed.shifts.push({ at: entry.startTime, value })
    })
    each("longtask", ({ startTime, duration }) =>
      observed.tasks.push({ start: startTime, end: startTime + duration }),
    )
  })
}

/** Waits until the page has loaded, and says what was observed until then. */
export async function whenQuiet(page: Page): Promise<Measured> {
  await page.waitForFunction(
    (quiet) => {
      const { first, largest, shifts, tasks } = window.observed
      const last = Math.max(first, largest, ...shifts.map(({ at }) => at), ...tasks.map(({ end }) => end))
      return first > 0 && performance.now() - last > quiet
    },
    QUIET_MS,
    { polling: 250, timeout: PATIENCE_MS },
  )
  const { first, largest, shifts, tasks } = await page.evaluate(() => window.observed)
  return {
    first_contentful_paint: first,
    largest_contentful_paint: largest,
    total_blocking_time: tasks.reduce((sum, task) => sum + blocking(task, first), 0),
    cumulative_layout_shift: worstOf(shifts),
  }
}

/** What blocks before anything is painted is in the time of the paint. */
function blocking({ start, end }: Stretch, painted: number): number {
  return Math.max(0, end - Math.max(start, painted) - UNNOTICED_MS)
}

/** The sum of the worst window of shifts. */
function worstOf(shifts: Observed["shifts"]): number {
  let [worst, sum, begun, before] = [0, 0, 0, Number.NEGATIVE_INFINITY]
  for (const { at, value } of shifts) {
    if (at - before >= GAP_MS || at - begun >= WINDOW_MS) [sum, begun] = [0, at]
    sum += value
    before = at
    worst = Math.max(worst, sum)
  }
  return worst
}
