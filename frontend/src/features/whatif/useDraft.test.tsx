import { QueryClient, QueryClientProvider } from "@tanstack/react-query"
import { act, renderHook, waitFor } from "@testing-library/react"
import type { ReactNode } from "react"
import { expect, test, vi } from "vitest"
import { BLANK, put, toYaml } from "./scenarioDocument"
import { useDraft } from "./useDraft"

const cache = new QueryClient({ defaultOptions: { queries: { retry: false } } })

function wrapper({ children }: { readonly children: ReactNode }) {
  return <QueryClientProvider client={cache}>{children}</QueryClientProvider>
}

/** An API that reads `name: …` and nothing else. */
function checkedTexts(): string[] {
  const texts: string[] = []
  vi.stubGlobal("fetch", async (_: string, { body }: RequestInit) => {
    texts.push(String(body))
    const name = /^name: (\w+)/.exec(String(body))?.[1]
    const problems = name ? [] : [{ line: 1, problem: "no name", remedy: "give one" }]
    const found = { scenario: name ? { name } : null, problems, estimate: null }
    return new Response(JSON.stringify(found), { headers: { "content-type": "application/json" } })
  })
  return texts
}

test("what the form fills in becomes text, and one check a pause", async () => {
  const texts = checkedTexts()
  const { result } = renderHook(() => useDraft({ text: toYaml(BLANK), document: BLANK }), { wrapper })
  await waitFor(() => expect(result.current.isSettled).toBe(true))
  act(() => result.current.fill(put(BLANK, ["name"], "a")))
  act(() => result.current.fill(put(BLANK, ["name"], "ab")))
  expect(result.current.text).toMatch(/^name: ab\n/)
  expect(result.current.document?.name).toBe("ab")
  expect(result.current.isSettled).toBe(false)
  await waitFor(() => expect(result.current.isSettled).toBe(true))
  expect(texts.map((text) => text.split("\n")[0])).toEqual(["name: maintenance", "name: ab"])
})

test("what is typed fills the form once the API has read it, and only then", async () => {
  checkedTexts()
  const { result } = renderHook(() => useDraft({ text: "name: first", document: null }), { wrapper })
  await waitFor(() => expect(result.current.document).toEqual({ name: "first" }))
  act(() => result.current.write("name: second"))
  expect(result.current.document).toBeNull()
  await waitFor(() => expect(result.current.document).toEqual({ name: "second" }))
  act(() => result.current.write("nothing"))
  await waitFor(() => expect(result.current.check?.problems).toHaveLength(1))
  expect(result.current.document).toBeNull()
  expect(result.current.text).toBe("nothing")
})
