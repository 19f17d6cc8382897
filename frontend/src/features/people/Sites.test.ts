import { expect, test } from "vitest"
import { sitesOf } from "./Sites"

test("sites are typed with commas, each counts once, and none are all of them", () => {
  expect(sitesOf(" oslo, bergen,oslo ,")).toEqual(["oslo", "bergen"])
  expect(sitesOf("north quay")).toEqual(["north quay"])
  expect(sitesOf(" , ")).toBeNull()
  expect(sitesOf("")).toBeNull()
})
