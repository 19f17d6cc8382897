/** The fleet by status, type and site, with counts; a choice narrows the list, the same again widens it. */
import type { DeviceListSearch } from "@/addresses"
import { count } from "@/words/figures"
import { type Phrase, say } from "@/words/say"
import css from "./Facets.module.css"
import type { FacetGroup } from "./useDevices"

interface Props {
  readonly groups: readonly FacetGroup[]
  readonly search: DeviceListSearch
  readonly onChoose: (key: FacetGroup["key"], value: string | undefined) => void
}

const SHOWN = 14

const TITLES: Readonly<Record<FacetGroup["key"], Phrase>> = {
  site: "devices.facetSite",
  type: "devices.facetType",
  status: "devices.facetStatus",
}

export function Facets({ groups, search, onChoose }: Props) {
  return (
    <aside className={css.facets} aria-label={say("devices.facets")}>
      {groups.map(({ key, values }) => (
        <section key={key} className={css.group}>
          <h2 className={css.title}>{say(TITLES[key])}</h2>
          <ul>
            {shown(values, search[key]).map(({ value, devices }) => (
              <li key={value}>
                <button
                  type="button"
                  className={css.facet}
                  aria-pressed={search[key] === value}
                  onClick={() => onChoose(key, search[key] === value ? undefined : value)}
                >
                  <span className={css.name}>
                    {key === "status" ? say(`status.${value}` as Phrase) : value || say("app.none")}
                  </span>
                  <span>{count(devices)}</span>
                </button>
              </li>
            ))}
          </ul>
        </section>
      ))}
    </aside>
  )
}

/** The largest few, and always the chosen one. */
function shown(values: FacetGroup["values"], chosen: string | undefined): FacetGroup["values"] {
  const largest = [...values].sort((a, b) => b.devices - a.devices).slice(0, SHOWN)
  const missing = chosen !== undefined && !largest.some(({ value }) => value === chosen)
  return missing ? [...largest, ...values.filter(({ value }) => value === chosen)] : largest
}
