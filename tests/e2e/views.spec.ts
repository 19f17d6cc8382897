/** Saved views of the device list, and the list as a file. */
import { readFile } from "node:fs/promises"
import { expect, test } from "@playwright/test"

test("a view is saved, opened, shared, renamed, saved over and deleted", async ({ page, request }) => {
  const name = `worn ${Date.now()}`
  const other = `${name} pumps`
  await page.goto("/devices?filter=health%20%3C%2090&sort=-alerts")
  await page.getByRole("button", { name: "Views" }).click()
  await page.getByLabel("What is shown now, as").fill(name)
  await page.getByRole("button", { name: "Save the view" }).click()
  await expect(page.getByRole("row", { name })).toContainText("health < 90")
  const kept = async (wanted: string) =>
    (await (await request.get("/api/views?page=devices")).json()).items.find(
      (each: { name: string }) => each.name === wanted,
    )
  expect(await kept(name)).toMatchObject({ filter: "health < 90", sort: "-alerts", shared: false })

  await page.goto("/devices")
  await page.getByRole("button", { name: "Views" }).click()
  await page.getByRole("link", { name, exact: true }).click()
  await expect(page).toHaveURL(/filter=health/)
  await page.getByRole("button", { name: `Share ${name}` }).click()
  await expect(page.getByRole("row", { name })).toContainText("yours, shared")
  await page.getByRole("button", { name: `Rename ${name}` }).click()
  await page.getByLabel(`New name of ${name}`).fill(other)
  await page.getByRole("button", { name: "Save", exact: true }).click()
  await expect(page.getByRole("link", { name: other })).toBeVisible()

  await page.getByRole("button", { name: "Device", exact: true }).click()
  await page.getByRole("button", { name: `Save what is shown as ${other}` }).click()
  await expect.poll(() => kept(other)).toMatchObject({ sort: "id", shared: true })
  await page.getByRole("button", { name: `Delete ${other}`, exact: true }).click()
  await page.getByRole("button", { name: `Delete ${other}, for sure` }).click()
  await expect(page.getByRole("row", { name: other })).toHaveCount(0)
})

test("what the filter leaves is written into a file, all of it once", async ({ page, request }) => {
  const filter = "site = 'oslo'"
  const query = new URLSearchParams({ filter, limit: "1000" })
  const { total } = await (await request.get(`/api/devices?${query}`)).json()
  await page.goto(`/devices?${new URLSearchParams({ filter })}`)
  const downloading = page.waitForEvent("download")
  await page.getByRole("button", { name: "Export CSV" }).click()
  const download = await downloading
  expect(download.suggestedFilename()).toMatch(/^twinfold-devices-.*\.csv$/)
  const lines = (await readFile(await download.path(), "utf8")).trimEnd().split("\r\n")
  expect(lines[0]).toMatch(/^\ufeffid,name,type,site/)
  expect(lines).toHaveLength(total + 1)
  expect(new Set(lines.slice(1).map((line) => line.split(",")[3]))).toEqual(new Set(["oslo"]))
})
