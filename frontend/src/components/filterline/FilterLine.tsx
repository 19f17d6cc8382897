/** One line to search and filter with: words search, comparisons filter, and what could come next is offered below. */
import {
  type KeyboardEvent,
  type ReactNode,
  useEffect,
  useId,
  useLayoutEffect,
  useRef,
  useState,
} from "react"
import { say } from "@/words/say"
import { complete, isFilter, type Suggestion, type Term, take } from "./completion"
import css from "./FilterLine.module.css"

interface Props {
  readonly value: string
  readonly terms: readonly Term[]
  readonly onSubmit: (line: string, isFilter: boolean) => void
  /** Things found for the words typed so far; chosen by their key. */
  readonly found: readonly { readonly key: string; readonly label: ReactNode }[]
  readonly onType: (line: string) => void
  readonly onChoose: (key: string) => void
  readonly inputRef: React.RefObject<HTMLInputElement | null>
  /** Where it is a field of something larger: what it is for, and told each change. */
  readonly label?: string
  readonly onLine?: (line: string) => void
}

export function FilterLine(props: Props) {
  const { value, terms, onSubmit, found, onType, onChoose, inputRef, onLine } = props
  const { label = say("search.label") } = props
  const [line, setLine] = useState(value)
  const [caret, setCaret] = useState(value.length)
  const [open, setOpen] = useState(false)
  const [active, setActive] = useState(-1)
  const listId = useId()
  const box = useRef<HTMLFormElement>(null)
  /** Where the caret goes once a suggestion stands in the line: at once, before the next key is typed. */
  const caretDue = useRef<number>(undefined)

  useLayoutEffect(() => {
    if (caretDue.current === undefined) return
    inputRef.current?.focus()
    inputRef.current?.setSelectionRange(caretDue.current, caretDue.current)
    caretDue.current = undefined
  })

  useEffect(() => {
    setLine(value)
    setActive(-1)
  }, [value])

  const suggestions = open && line.trim() !== "" ? complete(line, caret, terms) : []
  const devices = open ? found : []
  const choices = suggestions.length + devices.length
  const shown = open && choices > 0

  const type = (text: string, at: number) => {
    setLine(text)
    setCaret(at)
    setOpen(true)
    setActive(-1)
    onType(isFilter(text, terms) ? "" : text.trim())
    onLine?.(text)
  }

  const submit = () => {
    setOpen(false)
    inputRef.current?.blur()
    onSubmit(line.trim(), isFilter(line, terms))
  }

  const use = (suggestion: Suggestion) => {
    const taken = take(line, suggestion)
    caretDue.current = taken.caret
    type(taken.line, taken.caret)
  }

  const choose = (at: number) => {
    const suggestion = suggestions[at]
    const device = devices[at - suggestions.length]
    if (suggestion) use(suggestion)
    else if (device) {
      setOpen(false)
      inputRef.current?.blur()
      onChoose(device.key)
    }
  }

  const key = (event: KeyboardEvent<HTMLInputElement>) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (!shown) return
      event.preventDefault()
      const by = event.key === "ArrowDown" ? 1 : -1
      setActive((before) => ((before + by + choices + 1 + 1) % (choices + 1)) - 1)
    } else if (event.key === "Tab" && suggestions.length > 0 && !event.shiftKey) {
      event.preventDefault()
      choose(Math.max(0, Math.min(active, suggestions.length - 1)))
    } else if (event.key === "Enter") {
      event.preventDefault()
      if (active >= 0 && shown) choose(active)
      else submit()
    } else if (event.key === "Escape") {
      if (open) setOpen(false)
      else inputRef.current?.blur()
    }
  }

  return (
    <form
      ref={box}
      className={css.form}
      role="search"
      onSubmit={(event) => {
        event.preventDefault()
        submit()
      }}
      onBlur={(event) => {
        if (!box.current?.contains(event.relatedTarget)) setOpen(false)
      }}
    >
      <input
        ref={inputRef}
        className={css.input}
        type="text"
        spellCheck={false}
        autoComplete="off"
        autoCapitalize="off"
        role="combobox"
        aria-label={label}
        aria-expanded={shown}
        aria-controls={listId}
        aria-activedescendant={shown && active >= 0 ? `${listId}-${active}` : undefined}
        aria-autocomplete="list"
        placeholder={say("search.placeholder")}
        value={line}
        onChange={({ target }) => type(target.value, target.selectionStart ?? target.value.length)}
        onSelect={({ currentTarget }) => setCaret(currentTarget.selectionStart ?? 0)}
        onFocus={() => setOpen(true)}
        onKeyDown={key}
      />
      {line ? (
        <button
          type="button"
          className={css.clear}
          aria-label={say("search.clear")}
          onClick={() => {
            type("", 0)
            setOpen(false)
            onSubmit("", false)
          }}
        >
          ×
        </button>
      ) : onLine ? null : (
        <kbd className={css.kbd}>/</kbd>
      )}
      <div id={listId} role="listbox" aria-label={label} className={css.list} hidden={!shown}>
        {suggestions.map((suggestion, i) => (
          <Option
            key={suggestion.text}
            id={`${listId}-${i}`}
            active={i === active}
            onChoose={() => choose(i)}
          >
            <code className={css.term}>{suggestion.text}</code>
            {suggestion.hint ? <span className={css.hint}>{suggestion.hint}</span> : null}
          </Option>
        ))}
        {devices.map(({ key: device, label }, i) => (
          <Option
            key={device}
            id={`${listId}-${suggestions.length + i}`}
            active={suggestions.length + i === active}
            onChoose={() => choose(suggestions.length + i)}
          >
            {label}
          </Option>
        ))}
        <div className={css.help} aria-hidden>
          {say("search.words")}
        </div>
      </div>
    </form>
  )
}

interface OptionProps {
  readonly id: string
  readonly active: boolean
  readonly onChoose: () => void
  readonly children: ReactNode
}

function Option({ id, active, onChoose, children }: OptionProps) {
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the input takes the keys
    <div
      id={id}
      role="option"
      aria-selected={active}
      className={css.option}
      onMouseDown={(event) => event.preventDefault()}
      onClick={onChoose}
    >
      {children}
    </div>
  )
}
