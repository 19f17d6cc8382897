/** What could come next in a filter: terms, comparisons, values, as the grammar of the API has them. */

export interface Term {
  readonly name: string
  readonly kind: "number" | "text" | "flag" | "time"
  readonly choices?: readonly string[]
}

export interface Suggestion {
  readonly text: string
  /** The part of the line that it takes the place of. */
  readonly from: number
  readonly to: number
  readonly hint?: string
}

const MOST = 8
const OPERATORS: Readonly<Record<Term["kind"], readonly string[]>> = {
  number: ["<", "<=", ">", ">=", "=", "is null"],
  text: ["=", "!=", "in (", "like", "is null"],
  time: ["<", ">", "is null"],
  flag: ["and", "or"],
}
const JOINERS = ["and", "or"]

/** Whether a line compares something, or names a flag; else it is words to search for. */
export function isFilter(line: string, terms: readonly Term[] = []): boolean {
  const text = line.trim()
  if (/[<>=()]|\blike\s+'|\bis\s+(not\s+)?(null|present)\b/i.test(text)) return true
  const flags = new Set(terms.filter(({ kind }) => kind === "flag").map(({ name }) => name))
  const parts = text.split(/\s+(?:and|or)\s+/i).map((part) => part.replace(/^not\s+/i, ""))
  return text !== "" && parts.every((part) => flags.has(part))
}

/** Suggestions for what stands before the caret. */
export function complete(line: string, caret: number, terms: readonly Term[]): Suggestion[] {
  const before = line.slice(0, caret)
  const quoting = before.split("'").length % 2 === 0
  const word = quoting ? before.slice(before.lastIndexOf("'")) : (/[\w.]+$/.exec(before)?.[0] ?? "")
  const from = caret - word.length
  const tokens = before.slice(0, from).match(/'[^']*'|[\w.]+|<=|>=|!=|<>|[<>=(),]/g) ?? []
  const last = tokens.at(-1)?.toLowerCase() ?? ""
  const known = new Map(terms.map((term) => [term.name, term]))
  const place = (texts: readonly string[], hint?: string) =>
    texts
      .filter((text) => begins(text, word) && text !== word)
      .slice(0, MOST)
      .map((text) => ({ text, from, to: caret, hint }))

  const compared = comparedTerm(tokens, known)
  if (compared) return place((compared.choices ?? []).map(quote), compared.name)
  const named = known.get(tokens.at(-1) ?? "")
  if (named) return word === "" || !known.has(word) ? place(OPERATORS[named.kind]) : []
  if (last === "" || last === "(" || ["and", "or", "not"].includes(last))
    return word === "" && tokens.length > 0
      ? place(terms.map(({ name }) => name))
      : terms
          .filter(({ name }) => word !== "" && begins(name, word) && name !== word)
          .slice(0, MOST)
          .map(({ name, kind }) => ({ text: name, from, to: caret, hint: kind }))
  return place(JOINERS)
}

/** The line with a suggestion taken, and where the caret then stands. */
export function take(line: string, { text, from, to }: Suggestion): { line: string; caret: number } {
  const gap = line.slice(to).startsWith(" ") || text.endsWith("(") ? "" : " "
  const taken = line.slice(0, from) + text + gap
  return { line: taken + line.slice(to), caret: taken.length }
}

/** A text as the grammar writes it. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** The term whose value is being written, if one is. */
function comparedTerm(tokens: readonly string[], known: ReadonlyMap<string, Term>): Term | undefined {
  const [third, second, first] = [tokens.at(-3), tokens.at(-2), tokens.at(-1)]
  if (first && /^(=|!=|<>|<=?|>=?|like)$/i.test(first)) return known.get(second ?? "")
  if (first === "(" && second?.toLowerCase() === "in") return known.get(third ?? "")
  if (first !== ",") return undefined
  const opened = tokens.lastIndexOf("(")
  return opened >= 2 ? known.get(tokens[opened - 2] ?? "") : undefined
}

function begins(text: string, word: string): boolean {
  return text.toLowerCase().replace(/^'/, "").startsWith(word.toLowerCase().replace(/^'/, ""))
}
