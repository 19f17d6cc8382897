import { QueryClient, QueryClientProvider } from "@tanstack/react-query"
import { act, renderHook } from "@testing-library/react"
import type { ReactNode } from "react"
import { expect, test, vi } from "vitest"
import { useAsk, useLogMaintenance } from "./commands"
import type { Maintenance } from "./schema"

const cache = new QueryClient()

function wrapper({ children }: { readonly children: ReactNode }) {
  return <QueryClientProvider client={cache}>{children}</QueryClientProvider>
}

/** The key of each request; the first gets no answer. */
function keysOfRequests(): (string | null)[] {
  const keys: (string | null)[] = []
  vi.stubGlobal("fetch", async (_: string, { headers }: RequestInit) => {
    keys.push(new Headers(headers).get("idempotency-key"))
    if (keys.length === 1) throw new TypeError("the line is down")
    return new Response("{}", { headers: { "content-type": "application/json" } })
  })
  return keys
}

async function each<Wish>(send: (wish: Wish) => Promise<unknown>, wishes: readonly Wish[]) {
  for (const wish of wishes) await act(() => send(wish).catch(() => undefined))
}

test("maintenance sent again after no answer has the same key, until it succeeded", async () => {
  const keys = keysOfRequests()
  const { result } = renderHook(() => useLogMaintenance("pump-1"), { wrapper })
  const entry: Maintenance = { kind: "repair", note: "" }
  await each(result.current.mutateAsync, [entry, entry, entry])
  expect(keys[0]).toBeTruthy()
  expect(keys[1]).toBe(keys[0])
  expect(keys[2]).not.toBe(keys[0])
})

test("what is asked of a device has the same key while it is the same", async () => {
  const keys = keysOfRequests()
  const { result } = renderHook(() => useAsk("pump-1"), { wrapper })
  const wish = { what: "command", name: "stop", values: {}, note: "", version: 3 } as const
  await each(result.current.mutateAsync, [wish, wish, wish])
  expect(keys[1]).toBe(keys[0])
  expect(keys[2]).not.toBe(keys[0])
})

test("another value is another wish, though the first had no answer", async () => {
  const keys = keysOfRequests()
  const { result } = renderHook(() => useAsk("pump-1"), { wrapper })
  const wish = { what: "property", name: "speed", note: "", version: 3 } as const
  await each(result.current.mutateAsync, [
    { ...wish, values: { speed: 10 } },
    { ...wish, values: { speed: 20 } },
  ])
  expect(keys[0]).toBeTruthy()
  expect(keys[1]).not.toBe(keys[0])
})
