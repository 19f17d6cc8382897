/** The same command sent to many devices. */
import { NativeSelect, Textarea } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { useState } from "react"
import { type DeviceAct, deviceCountQuery } from "@/api/commands"
import { typesQuery } from "@/api/queries"
import { useMe } from "@/api/session"
import { type Texts, typedValues } from "@/components/deviceacts/asked"
import { ValueFields } from "@/components/deviceacts/ValueFields"
import css from "@/components/dialogs.module.css"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import { ManyForm, type ManyProps } from "./ManyForm"
import { type ManyOffer, offersOf } from "./manyActs"

export default function SendMany(props: ManyProps) {
  const { data: counted } = useQuery(deviceCountQuery(props.which))
  const { data: types = [] } = useQuery(typesQuery)
  const role = useMe()?.role
  const [at, setAt] = useState(0)
  const [texts, setTexts] = useState<Texts>({})
  const [note, setNote] = useState("")
  const offers = counted ? offersOf(counted.by_type, types, role) : []
  const offer = offers[at]
  const others = counted && offer ? counted.matched - offer.devices : 0
  return (
    <ManyForm {...props} name="send" act={actOf(offer, texts, note)}>
      {offer ? (
        <>
          <NativeSelect
            data-autofocus
            label={say("many.command")}
            value={String(at)}
            description={others > 0 ? say("many.others", { n: others, shown: count(others) }) : undefined}
            data={offers.map(({ spec }, i) => ({ value: String(i), label: spec.title }))}
            onChange={({ target }) => {
              setAt(Number(target.value))
              setTexts({})
            }}
          />
          <ValueFields specs={offer.spec.parameters} texts={texts} onChange={setTexts} />
          <Textarea
            label={say("maintenance.note")}
            value={note}
            maxLength={2000}
            onChange={({ target }) => setNote(target.value)}
          />
          <p className={css.help}>{say("asked.help")}</p>
        </>
      ) : (
        <p>{say("many.noCommand")}</p>
      )}
    </ManyForm>
  )
}

function actOf(offer: ManyOffer | undefined, texts: Texts, note: string): DeviceAct | null {
  const parameters = offer && typedValues(offer.spec.parameters, texts)
  return offer && parameters
    ? { type: "send", command: offer.spec.name, parameters, note: note.trim() }
    : null
}
