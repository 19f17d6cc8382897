/** How the app looks and speaks to this reader. */
import { NativeSelect } from "@mantine/core"
import { Card } from "@/components/Card"
import { LANGUAGES, languageOf } from "@/words/languages"
import { DENSITIES, type Preferences, prefer, SCHEMES, usePreferences } from "@/words/preferences"
import { say } from "@/words/say"
import { UNIT_SYSTEMS } from "@/words/units"
import css from "./SettingsPage.module.css"

export function ScreenCard() {
  const { scheme, density, language, units, zone, keys } = usePreferences()
  const own = new Intl.DateTimeFormat().resolvedOptions().timeZone
  return (
    <Card padded title={say("settings.screen")} hint={say("settings.screenHelp")}>
      <div className={css.form}>
        <NativeSelect
          label={say("settings.scheme")}
          value={scheme}
          data={SCHEMES.map((value) => ({ value, label: say(`settings.schemes.${value}`) }))}
          onChange={({ target }) => prefer({ scheme: target.value as Preferences["scheme"] })}
        />
        <NativeSelect
          label={say("settings.density")}
          value={density}
          data={DENSITIES.map((value) => ({ value, label: say(`settings.densities.${value}`) }))}
          onChange={({ target }) => prefer({ density: target.value as Preferences["density"] })}
        />
        <NativeSelect
          label={say("settings.language")}
          value={language}
          data={[
            { value: "", label: say("settings.languageOwn", { language: LANGUAGES[languageOf("")] }) },
            ...Object.entries(LANGUAGES).map(([value, label]) => ({ value, label })),
          ]}
          onChange={({ target }) => prefer({ language: target.value })}
        />
        <NativeSelect
          label={say("settings.units")}
          description={say("settings.unitsHelp")}
          value={units}
          data={UNIT_SYSTEMS.map((value) => ({ value, label: say(`settings.unitSystems.${value}`) }))}
          onChange={({ target }) => prefer({ units: target.value as Preferences["units"] })}
        />
        <NativeSelect
          label={say("settings.zone")}
          value={zone}
          data={[
            { value: "", label: say("settings.zoneLocal", { zone: own }) },
            ...["UTC", ...Intl.supportedValuesOf("timeZone").filter((each) => each !== "UTC")].map(
              (value) => ({ value, label: value }),
            ),
          ]}
          onChange={({ target }) => prefer({ zone: target.value })}
        />
        <NativeSelect
          label={say("settings.keys")}
          description={say("settings.keysHelp")}
          value={keys ? "on" : "off"}
          data={[
            { value: "on", label: say("settings.on") },
            { value: "off", label: say("settings.off") },
          ]}
          onChange={({ target }) => prefer({ keys: target.value === "on" })}
        />
      </div>
    </Card>
  )
}
