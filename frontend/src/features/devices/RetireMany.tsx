/** Many devices retired. Their count is typed, since nothing takes it back. */
import { TextInput } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { useState } from "react"
import { deviceCountQuery } from "@/api/commands"
import { say } from "@/words/say"
import { ManyForm, type ManyProps } from "./ManyForm"

export default function RetireMany(props: ManyProps) {
  const n = useQuery(deviceCountQuery(props.which)).data?.matched
  const [typed, setTyped] = useState("")
  return (
    <ManyForm {...props} name="retire" act={typed.trim() === String(n) ? { type: "retire" } : null}>
      <p>{say("many.retireHelp")}</p>
      <TextInput
        data-autofocus
        label={say("selection.typeCount", { n })}
        value={typed}
        inputMode="numeric"
        autoComplete="off"
        onChange={({ target }) => setTyped(target.value)}
      />
    </ManyForm>
  )
}
