/** The reader's choices and what their account keeps are the same: either changes the other. */
import { useQuery, useQueryClient } from "@tanstack/react-query"
import { useEffect } from "react"
import { preferencesOf, saveSettings, settingsQuery } from "@/api/settings"
import { notify } from "@/components/notices"
import { adopt, followChoices, preferences } from "@/words/preferences"
import { say } from "@/words/say"

export function useKeptSettings(): void {
  const cache = useQueryClient()
  const { data } = useQuery(settingsQuery)
  useEffect(() => {
    if (data && data.revision > 0) adopt(preferencesOf(data))
  }, [data])
  useEffect(
    () =>
      followChoices((changes) => {
        saveSettings(cache, changes, preferences()).catch((error: unknown) =>
          notify({ text: say("settings.notKept", { reason: String(error) }), failed: true }),
        )
      }),
    [cache],
  )
}
