/** The same maintenance logged for many devices. */
import { useQuery } from "@tanstack/react-query"
import { useState } from "react"
import { deviceCountQuery } from "@/api/commands"
import { typesQuery } from "@/api/queries"
import { BLANK, MaintenanceFields, recordOf } from "@/components/deviceacts/MaintenanceFields"
import css from "@/components/dialogs.module.css"
import { say } from "@/words/say"
import { ManyForm, type ManyProps } from "./ManyForm"
import { sharedBy } from "./manyActs"

export default function MaintainMany(props: ManyProps) {
  const { data: counted } = useQuery(deviceCountQuery(props.which))
  const { data: types = [] } = useQuery(typesQuery)
  const [entry, setEntry] = useState(BLANK)
  return (
    <ManyForm {...props} name="maintenance" act={{ type: "maintenance", ...recordOf(entry) }}>
      <MaintenanceFields
        type={counted && sharedBy(counted.by_type, types)}
        entry={entry}
        onChange={setEntry}
      />
      <p className={css.help}>{say("maintenance.opens")}</p>
    </ManyForm>
  )
}
