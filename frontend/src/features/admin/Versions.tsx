/** Every version of a type, or of its rules: who made it and why, what it changed, and putting it in force again. */
import { Button } from "@mantine/core"
import { Link } from "@tanstack/react-router"
import type { TypeVersion, TypeVersions } from "@/api/schema"
import type { Part } from "@/api/types"
import { Age } from "@/components/Age"
import { Card } from "@/components/Card"
import { type PlainColumn, PlainTable } from "@/components/PlainTable"
import { say } from "@/words/say"
import type { Wanted } from "./ActivateDialog"
import css from "./admin.module.css"

interface Props {
  readonly part: Part
  readonly versions: TypeVersions
  readonly onActivate: ((wanted: Wanted) => void) | undefined
}

export function Versions({ part, versions, onActivate }: Props) {
  const { name, in_force } = versions
  const rows = part === "type" ? versions.versions : versions.rules
  const [current, staged] =
    part === "type" ? [in_force?.version, versions.staged_version] : [in_force?.rules, versions.staged_rules]
  const columns: PlainColumn<TypeVersion>[] = [
    {
      id: "number",
      title: say("types.version"),
      cell: ({ number }) => (
        <>
          {number}{" "}
          <span className={css.detail}>
            {number === current ? say("types.isInForce") : number === staged ? say("types.isStaged") : ""}
          </span>
        </>
      ),
    },
    { id: "source", title: say("types.source"), cell: ({ source }) => say(`types.sources.${source}`) },
    { id: "by", title: say("types.by"), cell: ({ by }) => by },
    { id: "at", title: say("types.at"), cell: ({ at }) => <Age at={at} /> },
    { id: "why", title: say("types.why"), wraps: true, cell: ({ why }) => why },
    {
      id: "acts",
      title: "",
      cell: ({ number }) => (
        <>
          {number > 1 ? (
            <Link
              to="/admin/types/$name"
              params={{ name }}
              search={{ part, first: number - 1, second: number }}
              className={css.link}
              aria-label={say("types.againstBeforeOf", { n: number })}
            >
              {say("types.againstBefore")}
            </Link>
          ) : null}
          {current !== undefined && number !== current ? (
            <Link
              to="/admin/types/$name"
              params={{ name }}
              search={{ part, first: current, second: number }}
              className={css.link}
              aria-label={say("types.againstForceOf", { n: number })}
            >
              {say("types.againstForce")}
            </Link>
          ) : null}
          {onActivate && number !== current ? (
            <Button
              aria-label={say(part === "type" ? "types.activateTypeOf" : "types.activateRulesOf", {
                n: number,
              })}
              onClick={() => onActivate(part === "type" ? { version: number } : { rules: number })}
            >
              {say("types.activate")}
            </Button>
          ) : null}
        </>
      ),
    },
  ]
  const title = say(part === "type" ? "types.typeVersions" : "types.rulesVersions")
  return (
    <Card className={css.whole} title={title}>
      <PlainTable
        label={title}
        columns={columns}
        rows={rows}
        rowId={({ number }) => number}
        empty={say("app.none")}
      />
    </Card>
  )
}
