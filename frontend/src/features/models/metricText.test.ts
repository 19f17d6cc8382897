import { expect, test } from "vitest"
import { metricText } from "./metricText"

test("each figure has its unit and as many digits as it is worth", () => {
  expect(metricText("brier", 0.0811)).toBe("0.0811")
  expect(metricText("concordance", 0.8)).toBe("0.800")
  expect(metricText("coverage_90", 0.888)).toBe("89\u202f%")
  expect(metricText("unlike_at_failure", 1)).toBe("100\u202f%")
  expect(metricText("unlike_lead_h", 72)).toBe("72\u202fh")
  expect(metricText("rmse_h", 71.52)).toBe("71.5\u202fh")
  expect(metricText("rows", 12400)).toBe("12,400")
  expect(metricText("brier", undefined)).toBe("–")
})
