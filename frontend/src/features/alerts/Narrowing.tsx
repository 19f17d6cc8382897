/** What the alerts are narrowed to beyond tab and priority; each can be taken off. */
import { useNavigate } from "@tanstack/react-router"
import type { AlertSearch } from "@/addresses"
import { Chip } from "@/components/Chip"
import { say } from "@/words/say"

const PARTS = ["device", "rule", "type", "site"] as const

export function Narrowing({ search }: { readonly search: AlertSearch }) {
  const navigate = useNavigate({ from: "/alerts" })
  return PARTS.filter((part) => search[part] !== undefined).map((part) => (
    <Chip
      key={part}
      pressed
      label={say("alerts.widen", { what: search[part] })}
      onClick={() => navigate({ search: ({ [part]: _, ...before }) => before })}
    >
      {search[part]} ×
    </Chip>
  ))
}
