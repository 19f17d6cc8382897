/** People's accounts: their roles, and whether they may come in. */
import { Button, NativeSelect, TextInput } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { type FormEvent, useState } from "react"
import {
  accountsQuery,
  ROLES,
  type Role,
  useAddAccount,
  useChangeAccount,
  useResetPassword,
} from "@/api/accounts"
import type { AccountItem } from "@/api/schema"
import { Age } from "@/components/Age"
import { Card } from "@/components/Card"
import { HandOver } from "@/components/HandOver"
import { type PlainColumn, PlainTable } from "@/components/PlainTable"
import { Problem } from "@/components/Problem"
import { SureButton } from "@/components/SureButton"
import { Failed, Skeleton } from "@/components/states"
import { say } from "@/words/say"
import css from "./people.module.css"
import { Sites, sitesOf } from "./Sites"

export function Accounts({ me }: { readonly me: string }) {
  const { data, error, refetch } = useQuery(accountsQuery)
  const add = useAddAccount()
  const change = useChangeAccount()
  const reset = useResetPassword()
  const [given, setGiven] = useState<{ readonly name: string; readonly secret: string } | null>(null)
  const problem = add.error ?? change.error ?? reset.error
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = event.currentTarget
    const typed = new FormData(form)
    add.mutate(
      {
        name: String(typed.get("name")).trim(),
        role: String(typed.get("role")) as Role,
        sites: sitesOf(String(typed.get("sites"))),
      },
      {
        onSuccess: ({ account, password }) => {
          setGiven({ name: account.name, secret: password })
          form.reset()
        },
      },
    )
  }
  const columns: PlainColumn<AccountItem>[] = [
    { id: "name", title: say("people.name"), cell: ({ name }) => name },
    {
      id: "role",
      title: say("people.role"),
      cell: (account) => (
        <NativeSelect
          aria-label={say("people.roleOf", { name: account.name })}
          value={account.role}
          disabled={account.name === me || change.isPending}
          data={ROLES.map((value) => ({ value, label: say(`roles.${value}`) }))}
          onChange={({ target }) => change.mutate({ account, change: roleChange(target.value as Role) })}
        />
      ),
    },
    {
      id: "sites",
      title: say("people.sites"),
      cell: (account) => (
        <Sites
          name={account.name}
          sites={account.sites}
          disabled={account.name === me || account.role === "admin" || change.isPending}
          onChange={(next) => change.mutate({ account, change: { sites: next } })}
        />
      ),
    },
    { id: "state", title: say("people.state"), cell: stateOf },
    { id: "made", title: say("people.made"), cell: ({ made }) => <Age at={made} /> },
    {
      id: "acts",
      title: "",
      cell: ({ name, disabled, revision }) => (
        <>
          <SureButton
            label={say("people.resetOf", { name })}
            disabled={name === me}
            onSure={() =>
              reset.mutate(name, { onSuccess: ({ password }) => setGiven({ name, secret: password }) })
            }
          >
            {say("people.reset")}
          </SureButton>
          <Button
            aria-label={say(disabled ? "people.enableOf" : "people.disableOf", { name })}
            disabled={name === me || change.isPending}
            onClick={() => change.mutate({ account: { name, revision }, change: { disabled: !disabled } })}
          >
            {say(disabled ? "people.enable" : "people.disable")}
          </Button>
        </>
      ),
    },
  ]
  return (
    <Card className={css.whole} title={say("people.accounts")}>
      {given ? (
        <HandOver
          text={say("people.passwordFor", { name: given.name })}
          secret={given.secret}
          onDone={() => setGiven(null)}
        />
      ) : null}
      <Problem error={problem} />
      {error ? <Failed error={error} retry={refetch} /> : null}
      {data ? (
        <PlainTable
          label={say("people.accounts")}
          columns={columns}
          rows={data.items}
          rowId={({ name }) => name}
          empty={say("app.none")}
        />
      ) : error ? null : (
        <Skeleton rows={3} />
      )}
      <form className={css.add} onSubmit={submit}>
        <TextInput name="name" label={say("people.newName")} required maxLength={100} autoComplete="off" />
        <NativeSelect
          name="role"
          label={say("people.role")}
          data={ROLES.map((value) => ({ value, label: say(`roles.${value}`) }))}
        />
        <TextInput
          name="sites"
          label={say("people.newSites")}
          placeholder={say("people.allSites")}
          autoComplete="off"
        />
        <Button type="submit" loading={add.isPending}>
          {say("people.add")}
        </Button>
      </form>
    </Card>
  )
}

/** Admins are for all sites, so whoever becomes one is from then on. */
function roleChange(role: Role): { role: Role; sites?: null } {
  return role === "admin" ? { role, sites: null } : { role }
}

function stateOf({ disabled, must_change }: AccountItem): string {
  if (disabled) return say("people.isDisabled")
  return must_change ? say("people.mustChange") : ""
}
