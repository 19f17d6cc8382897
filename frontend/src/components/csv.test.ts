import { expect, test } from "vitest"
import { csvLine } from "./csv"

test("a text is quoted where it must be, and nothing stands where nothing is known", () => {
  expect(csvLine(["id", 'Pump "A", north', null, undefined, -1.5])).toBe('id,"Pump ""A"", north",,,-1.5\r\n')
})

test.each(["=1+1", "+1", "-1", "@a", "\ta"])("%j, which a spreadsheet would run, stays a text", (text) => {
  expect(csvLine([text])).toBe(`'${text}\r\n`)
})
