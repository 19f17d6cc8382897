/** Who one is here, and what protects that. */
import { Button } from "@mantine/core"
import { useLogOut, useMe } from "@/api/session"
import { Card } from "@/components/Card"
import { notify } from "@/components/notices"
import { say } from "@/words/say"
import css from "./SettingsPage.module.css"

export interface AccountProps {
  readonly onPassword: () => void
  readonly onSecondFactor: () => void
}

export function AccountCard({ onPassword, onSecondFactor }: AccountProps) {
  const me = useMe()
  const logOut = useLogOut()
  const leave = () =>
    logOut.mutate(undefined, {
      onError: ({ message }) => notify({ text: `${say("problems.notDone")}: ${message}`, failed: true }),
    })
  if (!me) return null
  return (
    <Card padded title={say("settings.account")}>
      <dl className={css.facts}>
        <dt>{say("settings.name")}</dt>
        <dd>{me.name}</dd>
        <dt>{say("settings.role")}</dt>
        <dd>
          {say(`roles.${me.role}`)}: {say(`settings.roles.${me.role}`)}
        </dd>
        <dt>{say("settings.sites")}</dt>
        <dd>{me.sites?.join(", ") ?? say("settings.allSites")}</dd>
        <dt>{say("settings.factor")}</dt>
        <dd>{say(me.totp ? "settings.factorOn" : "settings.factorOff")}</dd>
      </dl>
      <div className={css.acts}>
        <Button onClick={onPassword}>{say("settings.changePassword")}</Button>
        <Button onClick={onSecondFactor}>{say("settings.secondFactor")}</Button>
        <Button onClick={leave} loading={logOut.isPending}>
          {say("settings.logOut")}
        </Button>
      </div>
    </Card>
  )
}
