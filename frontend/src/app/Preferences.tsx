/** The reader's own choices. */
import { Modal, NativeSelect, TextInput, useMantineColorScheme } from "@mantine/core"
import { type Preferences as Choices, prefer, usePreferences } from "@/words/preferences"
import { say } from "@/words/say"
import css from "./sheets.module.css"

const SCHEMES = ["auto", "light", "dark"] as const

export default function Preferences({ onClose }: { readonly onClose: () => void }) {
  const { name, scheme, zone, keys } = usePreferences()
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
        <TextInput
          data-autofocus
          label={say("preferences.name")}
          description={say("preferences.nameHelp")}
          defaultValue={name}
          maxLength={64}
          onBlur={({ target }) => prefer({ name: target.value.trim() || say("preferences.defaultName") })}
        />
        <NativeSelect
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
