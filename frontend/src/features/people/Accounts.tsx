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
import { Failed, Skeleton } from "@/components/states"
import { say } from "@/words/say"
import { HandOver } from "./HandOver"
import css from "./people.module.css"
import { Scroll } from "./Scroll"
import { Sites, sitesOf } from "./Sites"
import { SureButton } from "./SureButton"

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
  return (
    <Card className={css.whole} title={say("people.accounts")}>
      {given ? (
        <HandOver
          text={say("people.passwordFor", { name: given.name })}
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
        <Scroll label={say("people.accounts")}>
          <table className={css.table}>
            <thead>
              <tr>
                <th>{say("people.name")}</th>
                <th>{say("people.role")}</th>
                <th>{say("people.sites")}</th>
                <th>{say("people.state")}</th>
                <th>{say("people.made")}</th>
                <th>
                  <span className="visually-hidden">{say("people.acts")}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {data.items.map((each) => (
                <tr key={each.name}>
                  <td className={css.wide}>{each.name}</td>
                  <td>
                    <NativeSelect
                      aria-label={say("people.roleOf", { name: each.name })}
                      value={each.role}
                      disabled={each.name === me}
                      data={ROLES.map((value) => ({ value, label: say(`roles.${value}`) }))}
                      onChange={({ target }) =>
                        change.mutate({ name: each.name, change: roleChange(target.value as Role) })
                      }
                    />
                  </td>
                  <td>
                    <Sites
                      name={each.name}
                      sites={each.sites}
                      disabled={each.name === me || each.role === "admin"}
                      onChange={(sites) => change.mutate({ name: each.name, change: { sites } })}
                    />
                  </td>
                  <td>{stateOf(each)}</td>
                  <td>
                    <Age at={each.made} />
                  </td>
                  <td className={css.acts}>
                    <SureButton
                      label={say("people.resetOf", { name: each.name })}
                      disabled={each.name === me}
                      onSure={() =>
                        reset.mutate(each.name, {
                          onSuccess: ({ password }) => setGiven({ name: each.name, secret: password }),
                        })
                      }
                    >
                      {say("people.reset")}
                    </SureButton>
                    <Button
                      aria-label={say(each.disabled ? "people.enableOf" : "people.disableOf", {
                        name: each.name,
                      })}
                      disabled={each.name === me}
                      onClick={() => change.mutate({ name: each.name, change: { disabled: !each.disabled } })}
                    >
                      {say(each.disabled ? "people.enable" : "people.disable")}
                    </Button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
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
