/** One line that leads anywhere: type part of a name, go with the arrows, take it with Enter. */
import { type KeyboardEvent, useEffect, useId, useRef, useState } from "react"
import { Dialog } from "@/components/Dialog"
import { say } from "@/words/say"
import css from "./Palette.module.css"
import { type Item, usePalette } from "./usePalette"

export default function Palette({ onClose }: { readonly onClose: () => void }) {
  const [typed, setTyped] = useState("")
  const [active, setActive] = useState(0)
  const { groups, isSearching } = usePalette(typed)
  const listId = useId()
  const list = useRef<HTMLDivElement>(null)
  const items = groups.flatMap((group) => group.items)
  const at = Math.min(active, items.length - 1)
  const idOf = (item: Item) => `${listId}${items.indexOf(item)}`

  // biome-ignore lint/correctness/useExhaustiveDependencies: the marked one is followed, wherever it now stands
  useEffect(() => {
    list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" })
  }, [at, typed])

  const take = (item: Item | undefined) => {
    if (!item) return
    onClose()
    item.run()
  }
  const steer = (event: KeyboardEvent) => {
    const last = items.length - 1
    if (event.key === "ArrowDown") setActive(at >= last ? 0 : at + 1)
    else if (event.key === "ArrowUp") setActive(at <= 0 ? last : at - 1)
    else if (event.key === "PageDown") setActive(Math.min(last, at + PAGE))
    else if (event.key === "PageUp") setActive(Math.max(0, at - PAGE))
    else if (event.key === "Enter") take(items[at])
    else return
    event.preventDefault()
  }

  return (
    <Dialog
      onClose={onClose}
      withCloseButton={false}
      centered={false}
      padding={0}
      size={560}
      title={<span className="visually-hidden">{say("palette.title")}</span>}
      classNames={{ header: css.header }}
    >
      <input
        className={css.input}
        data-autofocus
        type="text"
        role="combobox"
        aria-label={say("palette.title")}
        aria-expanded={items.length > 0}
        aria-controls={listId}
        aria-activedescendant={items[at] ? idOf(items[at]) : undefined}
        aria-autocomplete="list"
        placeholder={say("palette.placeholder")}
        spellCheck={false}
        autoComplete="off"
        autoCapitalize="off"
        value={typed}
        onChange={({ target }) => {
          setTyped(target.value)
          setActive(0)
        }}
        onKeyDown={steer}
      />
      <div id={listId} ref={list} role="listbox" aria-label={say("palette.title")} className={css.list}>
        {groups.map(({ title, items: members }) => (
          <div key={title} role="group" aria-label={say(title)}>
            <div className={css.group} aria-hidden>
              {say(title)}
            </div>
            {members.map((item) => (
              // biome-ignore lint/a11y/useKeyWithClickEvents: the input takes the keys
              <div
                key={item.id}
                id={idOf(item)}
                role="option"
                aria-selected={item === items[at]}
                className={css.option}
                onMouseDown={(event) => event.preventDefault()}
                onClick={() => take(item)}
              >
                <span className={css.label}>{item.label}</span>
                {item.hint ? <span className={css.hint}>{item.hint}</span> : null}
              </div>
            ))}
          </div>
        ))}
      </div>
      <p className={css.foot} role="status">
        {isSearching
          ? say("palette.searching")
          : items.length === 0
            ? say("palette.none")
            : say("palette.help")}
      </p>
    </Dialog>
  )
}

/** So many at once, by Page Up and Page Down. */
const PAGE = 8
