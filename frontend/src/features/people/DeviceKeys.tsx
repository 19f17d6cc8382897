/** Keys with which gateways and devices send readings. */
import { Button, NativeSelect, TextInput } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { type FormEvent, useState } from "react"
import { deviceKeysQuery, useAddKey, useRevokeKey, useRotateKey } from "@/api/accounts"
import type { KeyItem, KeyScope } from "@/api/schema"
import { Age } from "@/components/Age"
import { Card } from "@/components/Card"
import { Failed, Skeleton } from "@/components/states"
import { say } from "@/words/say"
import { HandOver } from "./HandOver"
import css from "./people.module.css"
import { Scroll } from "./Scroll"
import { SureButton } from "./SureButton"

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
    const names = String(typed.get("names") ?? "")
      .split(",")
      .map((each) => each.trim())
      .filter(Boolean)
    const name = String(typed.get("name")).trim()
    const scope: KeyScope = kind === "everything" ? { everything: true } : { [kind]: names }
    add.mutate(kind === "metrics" ? { name, kind } : { name, scope }, show)
    form.reset()
  }
  return (
    <Card className={css.whole} title={say("people.keys")} hint={say("people.keysHelp")}>
      {given ? (
        <HandOver
          text={say("people.keyFor", { name: given.name })}
          secret={given.secret}
          onDone={() => setGiven(null)}
        />
      ) : null}
      {problem ? (
        <p className={css.problem} role="alert">
          {problem.message}
        </p>
      ) : null}
      {error ? <Failed error={error} retry={refetch} /> : null}
      {data ? (
        <Scroll label={say("people.keys")}>
          <table className={css.table}>
            <thead>
              <tr>
                <th>{say("people.name")}</th>
                <th>{say("people.for")}</th>
                <th>{say("people.state")}</th>
                <th>{say("people.used")}</th>
                <th>
                  <span className="visually-hidden">{say("people.acts")}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {data.items.map((each) => (
                <tr key={each.id}>
                  <td className={css.wide} title={each.id}>
                    {each.name}
                  </td>
                  <td className={css.wide}>{purposeOf(each)}</td>
                  <td>{each.revoked ? say("people.isRevoked") : ""}</td>
                  <td>
                    <Age at={each.used} />
                  </td>
                  <td className={css.acts}>
                    {each.revoked ? null : (
                      <>
                        <Button
                          aria-label={say("people.rotateOf", { name: each.name })}
                          onClick={() => rotate.mutate(each.id, show)}
                        >
                          {say("people.rotate")}
                        </Button>
                        <SureButton
                          label={say("people.revokeOf", { name: each.name })}
                          onSure={() => revoke.mutate(each.id)}
                        >
                          {say("people.revoke")}
                        </SureButton>
                      </>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
          {data.items.length === 0 ? <p className={css.none}>{say("people.noKeys")}</p> : null}
        </Scroll>
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
