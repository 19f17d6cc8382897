/** The keys that act, by where they do. */
import { Dialog } from "@/components/Dialog"
import { type Phrase, say } from "@/words/say"
import css from "./sheets.module.css"

const GROUPS: readonly (readonly [Phrase, readonly (readonly [string, Phrase])[]])[] = [
  [
    "shortcuts.everywhere",
    [
      ["Ctrl K", "shortcuts.palette"],
      ["/", "shortcuts.search"],
      ["1 2 3", "shortcuts.go"],
      ["?", "shortcuts.help"],
    ],
  ],
  [
    "shortcuts.inTables",
    [
      ["j k", "shortcuts.next"],
      ["Enter", "shortcuts.open"],
      ["x", "shortcuts.select"],
      ["a", "shortcuts.acknowledge"],
      ["s", "shortcuts.shelve"],
      ["d", "shortcuts.device"],
    ],
  ],
  [
    "shortcuts.onMap",
    [
      ["← ↑ ↓ →", "shortcuts.move"],
      ["+ − 0", "shortcuts.zoom"],
    ],
  ],
]

export default function Shortcuts({ onClose }: { readonly onClose: () => void }) {
  return (
    <Dialog onClose={onClose} title={say("shortcuts.title")}>
      {GROUPS.map(([title, keys]) => (
        <section key={title}>
          <h3 className={css.group}>{say(title)}</h3>
          <dl className={css.keys}>
            {keys.map(([key, does]) => (
              <div key={key}>
                <dt>
                  {key.split(" ").map((each) => (
                    <kbd key={each}>{each}</kbd>
                  ))}
                </dt>
                <dd>{say(does)}</dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
    </Dialog>
  )
}
