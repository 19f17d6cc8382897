/** The reader's own choices. */
import { Button, Modal, NativeSelect, useMantineColorScheme } from "@mantine/core"
import { Link } from "@tanstack/react-router"
import { reaches } from "@/api/accounts"
import { useLogOut, useMe } from "@/api/session"
import { type Preferences as Choices, prefer, usePreferences } from "@/words/preferences"
import { say } from "@/words/say"
import css from "./sheets.module.css"

const SCHEMES = ["auto", "light", "dark"] as const

interface Props {
  readonly onClose: () => void
  readonly onPassword: () => void
  readonly onSecondFactor: () => void
}

export default function Preferences({ onClose, onPassword, onSecondFactor }: Props) {
  const me = useMe()
  const logOut = useLogOut()
  const { scheme, zone, keys } = usePreferences()
  const { setColorScheme } = useMantineColorScheme()
  const own = new Intl.DateTimeFormat().resolvedOptions().timeZone
  return (
    <Modal
      opened
      onClose={onClose}
      title={say("preferences.title")}
      closeButtonProps={{ "aria-label": say("app.close") }}
    >
      <div className={css.form}>
        {me ? (
          <section className={css.account} aria-label={say("preferences.account")}>
            <span>{say("preferences.loggedIn", { name: me.name, role: say(`roles.${me.role}`) })}</span>
            {reaches(me.role, "engineer") ? (
              <Link to="/people" className={css.link} onClick={onClose}>
                {say("people.title")}
              </Link>
            ) : null}
            <Button onClick={onPassword}>{say("preferences.changePassword")}</Button>
            <Button onClick={onSecondFactor}>{say("preferences.secondFactor")}</Button>
            <Button onClick={() => logOut.mutate()} loading={logOut.isPending}>
              {say("preferences.logOut")}
            </Button>
          </section>
        ) : null}
        <NativeSelect
          data-autofocus
          label={say("preferences.scheme")}
          value={scheme}
          data={SCHEMES.map((value) => ({ value, label: say(`preferences.schemes.${value}`) }))}
          onChange={({ target }) => setColorScheme(target.value as Choices["scheme"])}
        />
        <NativeSelect
          label={say("preferences.zone")}
          value={zone}
          data={[
            { value: "", label: say("preferences.zoneLocal", { zone: own }) },
            ...["UTC", ...Intl.supportedValuesOf("timeZone").filter((each) => each !== "UTC")].map(
              (value) => ({ value, label: value }),
            ),
          ]}
          onChange={({ target }) => prefer({ zone: target.value })}
        />
        <NativeSelect
          label={say("preferences.keys")}
          description={say("preferences.keysHelp")}
          value={keys ? "on" : "off"}
          data={[
            { value: "on", label: say("preferences.on") },
            { value: "off", label: say("preferences.off") },
          ]}
          onChange={({ target }) => prefer({ keys: target.value === "on" })}
        />
        <p className={css.help}>{say("preferences.help")}</p>
      </div>
    </Modal>
  )
}
