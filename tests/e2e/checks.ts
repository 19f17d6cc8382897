/** What holds of whatever is shown. */
import AxeBuilder from "@axe-core/playwright"
import { expect, type Page } from "@playwright/test"

/** No violation of WCAG 2.2 AA that a machine can find. */
export async function expectAccessible(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page })
    .withTags(["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"])
    .analyze()
  expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html.slice(0, 160))])).toEqual([])
}

/** Neither the document nor the part of it that scrolls is wider than its place. */
export async function expectNothingSideways(page: Page): Promise<void> {
  const beyond = await page.evaluate(() =>
    [document.scrollingElement, document.querySelector("main")].map((each) =>
      each ? each.scrollWidth - each.clientWidth : 0,
    ),
  )
  expect(beyond).toEqual([0, 0])
}
