import { afterEach, expect, test, vi } from "vitest"
import { setSkew } from "@/words/times"
import { bounds } from "./queries"

const T0 = Date.parse("2026-01-01T12:00:00Z")

afterEach(() => {
  setSkew(0)
  vi.useRealTimers()
})

test("the last hour ends now on the server's clock, however wrong this computer's is", () => {
  vi.useFakeTimers({ now: T0 })
  setSkew(600_000)
  expect(bounds({ lastS: 3600 })).toEqual({
    start: "2026-01-01T10:50:00.000Z",
    end: "2026-01-01T11:50:00.000Z",
  })
  expect(bounds({ start: T0 - 1, end: T0 }).end).toBe("2026-01-01T12:00:00.000Z")
})
