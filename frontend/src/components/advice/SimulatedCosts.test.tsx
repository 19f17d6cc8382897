import { MantineProvider } from "@mantine/core"
import { QueryClient, QueryClientProvider } from "@tanstack/react-query"
import { cleanup, fireEvent, render, screen } from "@testing-library/react"
import { afterEach, beforeAll, expect, test, vi } from "vitest"
import type { Recommendation } from "@/api/schema"
import { speakAs } from "@/words/languages"
import { SimulatedCosts } from "./SimulatedCosts"

const ITEM = { id: "p-1:wear", device_id: "p-1", planned: "mend" } as unknown as Recommendation
const FIGURE = { value: 900, low: 800, high: 1000 }
const OPTION = { cost: FIGURE, fails: { value: 0.4, low: 0.3, high: 0.5 }, difference: null, better: null }
const FOUND = {
  id: ITEM.id,
  device_id: "p-1",
  action: "mend",
  made: "2026-01-31T12:00:00Z",
  futures: 200,
  level: 0.9,
  horizon_days: 30,
  later_at: null,
  nothing: OPTION,
  later: OPTION,
  now: { ...OPTION, cost: { value: 350, low: 300, high: 400 } },
  why_not: null,
}

beforeAll(() => speakAs("en"))
afterEach(() => {
  cleanup()
  vi.unstubAllGlobals()
})

function shown(item: Recommendation = ITEM) {
  const cache = new QueryClient({ defaultOptions: { queries: { retry: false } } })
  return render(
    <QueryClientProvider client={cache}>
      <MantineProvider>
        <SimulatedCosts item={item} />
      </MantineProvider>
    </QueryClientProvider>,
  )
}

function answering(status: number, body: object) {
  const asked: string[] = []
  vi.stubGlobal("fetch", async (path: string) => {
    asked.push(path)
    return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } })
  })
  return asked
}

const ask = () => fireEvent.click(screen.getByRole("button", { name: /p-1/ }))

test("nothing is run until somebody asks; then three figures stand with their intervals", async () => {
  const asked = answering(200, FOUND)
  shown()
  expect(asked).toEqual([])
  ask()
  expect(screen.getByRole("status").textContent).toContain("futures")
  expect(await screen.findByText("350")).toBeTruthy()
  expect(screen.getByText("300 to 400")).toBeTruthy()
  expect(screen.getByText(/200 futures of this device/)).toBeTruthy()
  expect(asked[0]).toContain("/simulation")
})

test("a device that cannot be run forward says why", async () => {
  answering(200, { ...FOUND, futures: 0, nothing: null, later: null, now: null, why_not: "it stands still" })
  shown()
  ask()
  expect(await screen.findByText(/it stands still/)).toBeTruthy()
})

test("a failure is told, and can be tried again", async () => {
  answering(503, { title: "Full for the moment", status: 503, detail: "later", code: "fleet.overloaded" })
  shown()
  ask()
  expect((await screen.findByRole("alert")).textContent).toContain("Full for the moment")
})

test("what no action makes good is not offered", () => {
  const { container } = shown({ ...ITEM, planned: null })
  expect(container.querySelector("button")).toBeNull()
})
