import { expect, test } from "vitest"
import type { ViewItem } from "@/api/schema"
import { deviceColumns } from "./columns"
import { COLUMN_IDS, searchOf, shows, viewOf } from "./views"

const VIEW: ViewItem = {
  id: "v1",
  page: "devices",
  name: "Worn pumps",
  filter: "health < 50",
  search: "",
  sort: "-alerts",
  columns: ["type", "health"],
  shared: false,
  default: false,
  owner: "kari",
  mine: true,
  revision: 1,
  changed: "",
}

test("a view and its address say the same", () => {
  const search = searchOf(VIEW)
  expect(search).toMatchObject({ filter: "health < 50", sort: "-alerts" })
  expect(viewOf(search)).toEqual({ filter: VIEW.filter, search: "", sort: "-alerts", columns: VIEW.columns })
  expect(shows(search, VIEW)).toBe(true)
  expect(shows({ ...search, sort: "health" }, VIEW)).toBe(false)
})

test("facets become part of the filter; without a choice of columns they are the page's own", () => {
  expect(viewOf({ site: "oslo", q: "pump" })).toEqual({
    filter: "site = 'oslo'",
    search: "pump",
    sort: "",
    columns: [],
  })
  expect(searchOf({ ...VIEW, columns: [] })).not.toHaveProperty("hide")
})

test("every column of the table but device and mark can be hidden", () => {
  const ids = deviceColumns().map(({ id }) => id)
  expect(ids.filter((id) => id !== "id" && id !== "mark")).toEqual([...COLUMN_IDS])
})
