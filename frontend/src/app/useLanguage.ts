/** The language that the reader chose, in force once its texts are there. */
import { useEffect, useState } from "react"
import { notify } from "@/components/notices"
import { speakAs } from "@/words/languages"
import { usePreferences } from "@/words/preferences"
import { language, say } from "@/words/say"

export function useLanguage(): string {
  const { language: chosen } = usePreferences()
  const [spoken, setSpoken] = useState(language)
  useEffect(() => {
    speakAs(chosen).then(
      () => setSpoken(language()),
      () => notify({ text: say("app.loadFailed"), failed: true }),
    )
  }, [chosen])
  return spoken
}
