import { expect, test } from "vitest"
import { browserOf } from "./browserOf"

test("a browser and its system by their own names", () => {
  const chromium =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"
  expect(browserOf(chromium)).toBe("Chrome, Linux")
  expect(browserOf(`${chromium.replace("X11; Linux x86_64", "Windows NT 10.0")} Edg/140.0`)).toBe(
    "Edge, Windows",
  )
  expect(browserOf("Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0")).toBe(
    "Firefox, Android",
  )
  expect(browserOf("python-requests/2")).toBe("")
})
