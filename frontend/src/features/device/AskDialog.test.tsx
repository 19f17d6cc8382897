import { MantineProvider } from "@mantine/core"
import { QueryClient, QueryClientProvider } from "@tanstack/react-query"
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react"
import { afterEach, expect, test, vi } from "vitest"
import type { Offer } from "@/components/deviceacts/asked"
import AskDialog from "./AskDialog"

afterEach(cleanup)

const cache = new QueryClient()
const SPEC = { name: "label", title: "Label", kind: "string", unit: "1", choices: [], low: null, high: null }
const OFFERED = [{ what: "property", spec: SPEC }] as unknown as readonly Offer[]

test("a wish is a change of what was seen when the dialog opened, whatever came meanwhile", async () => {
  const sent: (string | null)[] = []
  vi.stubGlobal("fetch", async (_: string, { headers }: RequestInit) => {
    sent.push(new Headers(headers).get("if-match"))
    return new Response("{}", { headers: { "content-type": "application/json" } })
  })
  const dialog = (version: number) => (
    <QueryClientProvider client={cache}>
      <MantineProvider>
        <AskDialog id="pump-1" version={version} offered={OFFERED} onClose={() => undefined} />
      </MantineProvider>
    </QueryClientProvider>
  )
  const { rerender } = render(dialog(3))
  fireEvent.change(await screen.findByLabelText("Label"), { target: { value: "north" } })
  rerender(dialog(4))
  fireEvent.submit(screen.getByRole("dialog").querySelector("form") as HTMLFormElement)
  await waitFor(() => expect(sent).toEqual(['"3"']))
})
