import { afterEach, expect, test } from "vitest"
import type { TypeVersions } from "@/api/schema"
import { setZone } from "@/words/times"
import { overtaken } from "./overtaken"

afterEach(() => setZone(undefined))

test("the newest of what was written and what was put in force is what came first", () => {
  setZone("UTC")
  const versions = {
    rules: [{ by: "ola", at: "2026-03-01T12:00:00Z", why: "quieter" }],
    installations: [{ by: "per", at: "2026-03-01T11:00:00Z", why: "" }],
  } as unknown as TypeVersions
  expect(overtaken(versions)).toMatch(/^ola changed these rules at 12:00:00: quieter\./)
  const put = { ...versions, installations: [{ by: "per", at: "2026-03-01T13:00:00Z", why: "" }] }
  expect(overtaken(put as unknown as TypeVersions)).toMatch(/^per changed these rules at 13:00:00\./)
})
