/** The settings page with the sheets of the log-in that it opens: pages do not know each other. */
import { useState } from "react"
import { PasswordSheet } from "@/features/login/PasswordSheet"
import { SecondFactorSheet } from "@/features/login/SecondFactorSheet"
import { SettingsPage } from "@/features/settings/SettingsPage"

export function SettingsWithSheets() {
  const [sheet, setSheet] = useState<"password" | "factor" | null>(null)
  const close = () => setSheet(null)
  return (
    <>
      <SettingsPage onPassword={() => setSheet("password")} onSecondFactor={() => setSheet("factor")} />
      {sheet === "password" ? <PasswordSheet onClose={close} /> : null}
      {sheet === "factor" ? <SecondFactorSheet onClose={close} /> : null}
    </>
  )
}
