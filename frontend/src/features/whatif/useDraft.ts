/**
 * A scenario being written: one text, which the form and the editor both change, checked by the API at each pause. The
 * form's document is its own while it is the one that writes, and else what the API read in the text.
 */
import { useDebouncedValue } from "@mantine/hooks"
import { useQuery } from "@tanstack/react-query"
import { useState } from "react"
import { type ScenarioCheck, scenarioCheckQuery } from "@/api/whatif"
import { type Document, toYaml } from "./scenarioDocument"

const PAUSE_MS = 400

export interface Draft {
  readonly text: string
  /** Null while the text cannot be read, or has not been yet. */
  readonly document: Document | null
  readonly check: ScenarioCheck | undefined
  readonly error: Error | null
  /** The check is of this text. */
  readonly isSettled: boolean
  readonly write: (text: string) => void
  readonly fill: (document: Document) => void
}

interface Begun {
  readonly text: string
  readonly document: Document | null
}

export function useDraft(begun: Begun): Draft {
  const [draft, setDraft] = useState(begun)
  const { text, document } = draft
  const [settled] = useDebouncedValue(text, PAUSE_MS)
  const { data, isPlaceholderData, error } = useQuery(scenarioCheckQuery(settled))
  const isSettled = settled === text && data !== undefined && !isPlaceholderData
  return {
    text,
    document: document ?? (isSettled ? (data.scenario as Document | null) : null),
    check: data,
    error,
    isSettled,
    write: (written) => setDraft({ text: written, document: null }),
    fill: (filled) => setDraft({ text: toYaml(filled), document: filled }),
  }
}
