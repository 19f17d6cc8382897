/** What the marks of the map mean, and how many devices wear each. */
import { Link } from "@tanstack/react-router"
import type { Priority } from "@/api/schema"
import { PriorityMark } from "@/components/PriorityMark"
import { PRIORITIES } from "@/components/tokens"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import css from "./MapLegend.module.css"
import { type CellName, cellWord } from "./useOverview"

interface Props {
  readonly counts: readonly { readonly name: CellName; readonly devices: number }[]
}

export function MapLegend({ counts }: Props) {
  return (
    <ul className={css.legend}>
      {counts
        .filter(({ name, devices }) => devices > 0 || isPriority(name))
        .map(({ name, devices }) => (
          <li key={name} data-none={devices === 0}>
            <Link to="/devices" search={filterFor(name)} className={css.entry} title={meaning(name)}>
              {isPriority(name) ? (
                <PriorityMark priority={name} labelled />
              ) : (
                <span className={css.cell} data-cell={name} aria-hidden />
              )}
              <span>{count(devices)}</span>
              <span>{cellWord(name)}</span>
            </Link>
          </li>
        ))}
    </ul>
  )
}

function isPriority(name: CellName): name is Priority {
  return (PRIORITIES as readonly string[]).includes(name)
}

function meaning(name: CellName): string | undefined {
  if (name === "high") return say("map.highOrWorn")
  return name === "medium" ? say("map.mediumOrWorn") : undefined
}

/** The devices behind a mark: the map also marks those in poor health. */
function filterFor(name: CellName) {
  if (name === "high") return { filter: "priority = 'high' or health < 30" }
  if (name === "medium") return { filter: "priority = 'medium' or health < 50" }
  if (isPriority(name)) return { filter: `priority = '${name}'` }
  return { status: name === "normal" ? "reporting" : name }
}
