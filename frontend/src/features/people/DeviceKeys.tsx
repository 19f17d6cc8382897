/** Keys with which gateways and devices send readings. */
import { Button, NativeSelect, TextInput } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { type FormEvent, useState } from "react"
import { deviceKeysQuery, useAddKey, useRevokeKey, useRotateKey } from "@/api/accounts"
import type { KeyItem, KeyScope } from "@/api/schema"
import { Age } from "@/components/Age"
import { Card } from "@/components/Card"
import { HandOver } from "@/components/HandOver"
import { names } from "@/components/names"
import { type PlainColumn, PlainTable } from "@/components/PlainTable"
import { Problem } from "@/components/Problem"
import { SureButton } from "@/components/SureButton"
import { Failed, Skeleton } from "@/components/states"
import { say } from "@/words/say"
import css from "./people.module.css"

const KINDS = ["sites", "gateways", "devices", "types", "everything", "metrics"] as const
type Kind = (typeof KINDS)[number]

export function DeviceKeys({ admin }: { readonly admin: boolean }) {
  const { data, error, refetch } = useQuery(deviceKeysQuery)
  const add = useAddKey()
  const rotate = useRotateKey()
  const revoke = useRevokeKey()
  const [kind, setKind] = useState<Kind>("sites")
  const [given, setGiven] = useState<{ readonly name: string; readonly secret: string } | null>(null)
  const problem = add.error ?? rotate.error ?? revoke.error
  const show = {
    onSuccess: ({ key, text }: { key: KeyItem; text: string }) => setGiven({ name: key.name, secret: text }),
  }
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = event.currentTarget
    const typed = new FormData(form)
    const name = String(typed.get("name")).trim()
    const scope: KeyScope =
      kind === "everything" ? { everything: true } : { [kind]: names(String(typed.get("names") ?? "")) }
    add.mutate(kind === "metrics" ? { name, kind } : { name, scope }, show)
    form.reset()
  }
  const columns: PlainColumn<KeyItem>[] = [
    {
      id: "name",
      title: say("people.name"),
      wraps: true,
      cell: ({ id, name }) => <span title={id}>{name}</span>,
    },
    { id: "for", title: say("people.for"), wraps: true, cell: purposeOf },
    {
      id: "state",
      title: say("people.state"),
      cell: ({ revoked }) => (revoked ? say("people.isRevoked") : ""),
    },
    { id: "used", title: say("people.used"), cell: ({ used }) => <Age at={used} /> },
    {
      id: "acts",
      title: "",
      cell: ({ id, name, revoked }) =>
        revoked ? null : (
          <>
            <Button aria-label={say("people.rotateOf", { name })} onClick={() => rotate.mutate(id, show)}>
              {say("people.rotate")}
            </Button>
            <SureButton label={say("people.revokeOf", { name })} onSure={() => revoke.mutate(id)}>
              {say("people.revoke")}
            </SureButton>
          </>
        ),
    },
  ]
  return (
    <Card className={css.whole} title={say("people.keys")} hint={say("people.keysHelp")}>
      {given ? (
        <HandOver
          text={say("people.keyFor", { name: given.name })}
          secret={given.secret}
          onDone={() => setGiven(null)}
        />
      ) : null}
      <Problem error={problem} />
      {error ? <Failed error={error} retry={refetch} /> : null}
      {data ? (
        <PlainTable
          label={say("people.keys")}
          columns={columns}
          rows={data.items}
          rowId={({ id }) => id}
          empty={say("people.noKeys")}
        />
      ) : error ? null : (
        <Skeleton rows={2} />
      )}
      <form className={css.add} onSubmit={submit}>
        <TextInput name="name" label={say("people.newKey")} required maxLength={100} autoComplete="off" />
        <NativeSelect
          label={say("people.for")}
          value={kind}
          data={KINDS.filter((value) => admin || value !== "metrics").map((value) => ({
            value,
            label: say(`people.kinds.${value}`),
          }))}
          onChange={({ target }) => setKind(target.value as Kind)}
        />
        {kind === "everything" || kind === "metrics" ? null : (
          <TextInput name="names" label={say(`people.names.${kind}`)} required autoComplete="off" />
        )}
        <Button type="submit" loading={add.isPending}>
          {say("people.addKey")}
        </Button>
      </form>
    </Card>
  )
}

/** "site oslo, type pump". */
function purposeOf({ kind, scope }: KeyItem): string {
  if (kind === "metrics") return say("people.kinds.metrics")
  if (scope.everything) return say("people.kinds.everything")
  return (["devices", "gateways", "sites", "types"] as const)
    .flatMap((kind) => (scope[kind] ?? []).map((name) => say(`people.one.${kind}`, { name })))
    .join(", ")
}
