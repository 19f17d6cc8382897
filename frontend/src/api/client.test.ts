import { afterEach, expect, test, vi } from "vitest"
import { nb } from "@/words/nb"
import { speak } from "@/words/say"
import { ApiError, api } from "./client"

afterEach(() => speak("en", {}))

async function failure(asked: Promise<unknown>): Promise<ApiError> {
  const error = await asked.then(
    () => null,
    (reason: unknown) => reason,
  )
  if (error instanceof ApiError) return error
  throw new Error("it did not fail")
}

test("that there is no answer is said in the reader's language", async () => {
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("Failed to fetch")))
  expect((await failure(api("/devices"))).message).toBe("Twinfold does not answer")
  speak("nb", nb)
  const error = await failure(api("/devices"))
  expect([error.status, error.passing]).toEqual([0, true])
  expect(error.message).toBe("Twinfold svarer ikke")
})

test("an answer that took too long is told with how long that was", async () => {
  speak("nb", nb)
  vi.stubGlobal(
    "fetch",
    (_: string, { signal }: RequestInit) =>
      new Promise((_resolve, reject) =>
        signal?.addEventListener("abort", () => reject(signal.reason), { once: true }),
      ),
  )
  const error = await failure(api("/devices", { patienceMs: 20 }))
  expect(error.message).toBe("Twinfold svarte ikke innen 0.02 s")
  expect(error.problem.title).toBe("Twinfold svarer ikke")
})
