import { cleanup, createEvent, fireEvent, render } from "@testing-library/react"
import { afterEach, expect, test, vi } from "vitest"
import { useKeys } from "./useKeys"

afterEach(cleanup)

function Bound({ does, covered }: { readonly does: () => void; readonly covered: boolean }) {
  useKeys({ "mod+k": does, j: does })
  return covered ? <div role="dialog" /> : <input />
}

test.each([
  ["leads on from a field", false, 1],
  ["does nothing while a dialog is open, in the browser neither", true, 0],
])("Ctrl and k: %s", (_, covered, times) => {
  const does = vi.fn()
  const { container } = render(<Bound does={does} covered={covered} />)
  const target = container.firstElementChild as Element
  const event = createEvent.keyDown(target, { key: "k", ctrlKey: true })
  fireEvent(target, event)
  expect(does).toHaveBeenCalledTimes(times)
  expect(event.defaultPrevented).toBe(true)
})

test("a single key does nothing in a field, nor while a dialog is open", () => {
  const does = vi.fn()
  const { container, rerender } = render(<Bound does={does} covered={false} />)
  fireEvent.keyDown(container.firstElementChild as Element, { key: "j" })
  rerender(<Bound does={does} covered />)
  fireEvent.keyDown(document.body, { key: "j" })
  expect(does).not.toHaveBeenCalled()
  rerender(<Bound does={does} covered={false} />)
  fireEvent.keyDown(document.body, { key: "j" })
  expect(does).toHaveBeenCalledOnce()
})
