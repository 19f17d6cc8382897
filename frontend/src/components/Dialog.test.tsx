import { Button, MantineProvider } from "@mantine/core"
import { act, cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react"
import { useState } from "react"
import { afterEach, expect, test } from "vitest"
import { Dialog } from "./Dialog"

afterEach(cleanup)

function Page() {
  const [open, setOpen] = useState("")
  return (
    <MantineProvider>
      <Button onClick={() => setOpen("first")}>Ask</Button>
      {open === "first" ? (
        <Dialog title="First" onClose={() => setOpen("")}>
          <Button data-autofocus onClick={() => setOpen("second")}>
            Next
          </Button>
        </Dialog>
      ) : null}
      {open === "second" ? (
        <Dialog title="Second" onClose={() => setOpen("")}>
          <Button data-autofocus>Last</Button>
        </Dialog>
      ) : null}
    </MantineProvider>
  )
}

async function ask() {
  render(<Page />)
  const button = screen.getByRole("button", { name: "Ask" })
  act(() => button.focus())
  fireEvent.click(button)
  await waitFor(() => expect(document.activeElement?.textContent).toBe("Next"))
  return button
}

test("the focus is where it was once the dialog is closed", async () => {
  const button = await ask()
  fireEvent.keyDown(screen.getByRole("button", { name: "Next" }), { key: "Escape" })
  expect(screen.queryByRole("dialog")).toBeNull()
  expect(document.activeElement).toBe(button)
})

test("the focus is where it was before the first of two dialogs that follow each other", async () => {
  const button = await ask()
  fireEvent.click(screen.getByRole("button", { name: "Next" }))
  await waitFor(() => expect(document.activeElement?.textContent).toBe("Last"))
  fireEvent.click(screen.getByRole("button", { name: "Close" }))
  expect(document.activeElement).toBe(button)
})

test("a dialog has its title as its name, and a way out", async () => {
  await ask()
  expect(screen.getByRole("dialog", { name: "First" })).toBeDefined()
  expect(screen.getByRole("button", { name: "Close" })).toBeDefined()
})
