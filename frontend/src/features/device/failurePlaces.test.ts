import { describe, expect, it } from "vitest"
import { curvePlaces } from "./failurePlaces"
import { moved, upTo } from "./PrognosisCard"

describe("the curve of failure", () => {
  const curve = { hours: [0, 10, 20, 40], p_fail: [0, 0.1, 0.5, 0.9] }

  it("is cut where the drawing ends", () => {
    const places = curvePlaces(curve, 30)
    expect(places.map(([part]) => part)).toEqual([0, 1 / 3, 2 / 3, 1])
    expect(places.at(-1)?.[1]).toBeCloseTo(0.7)
  })

  it("stays as it is known to where nothing more is", () => {
    expect(curvePlaces(curve, 80)).toEqual([
      [0, 0],
      [0.125, 0.1],
      [0.25, 0.5],
      [0.5, 0.9],
      [1, 0.9],
    ])
  })

  it("is drawn to where failure is all but sure, never beyond the horizon", () => {
    expect(upTo({ rul_p95_h: 100 }, 720)).toBe(125)
    expect(upTo({ rul_p95_h: 5 }, 720)).toBe(72)
    expect(upTo({ rul_p95_h: 700 }, 720)).toBe(720)
    expect(upTo({ rul_p95_h: null }, 720)).toBe(720)
  })
})

describe("what moved a forecast", () => {
  it("reads in hours, and in days where these are many", () => {
    expect(moved(-30.4)).toBe("−30\u202fh")
    expect(moved(2.26)).toBe("+2.3\u202fh")
    expect(moved(-120)).toBe("−5\u202fd")
    expect(moved(-130)).toBe("−5.4\u202fd")
  })
})
