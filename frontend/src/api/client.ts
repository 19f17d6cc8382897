/** One way to ask the API: JSON or YAML in, JSON or a text out, and every failure an `ApiError` that can be shown. */

import { say } from "@/words/say"
import type { Problem } from "./schema"

const TIMEOUT_MS = 20_000
/** For how long lists are asked to include what this person did last, and what the stream told of alerts. */
const REACHED_MS = 5_000

const NEVER = { cursor: "", at: Number.NEGATIVE_INFINITY }

type Source = "command" | "stream"
const reached = new Map<Source, { readonly cursor: string; readonly at: number }>()

/** The API refused, or did not answer: status 0. */
export class ApiError extends Error {
  readonly problem: Problem

  constructor(problem: Problem) {
    super(problem.detail || problem.title)
    this.name = "ApiError"
    this.problem = problem
  }

  get status(): number {
    return this.problem.status
  }

  /** Whether asking again may help: no answer, overload, or a fault of the server's. */
  get passing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500
  }
}

export interface Ask {
  readonly method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE"
  readonly query?: Readonly<Record<string, string | number | readonly string[] | null | undefined>>
  readonly body?: unknown
  /** The body as it is, in place of one that becomes JSON. */
  readonly yaml?: string
  /** Which revision this is a change of. */
  readonly revision?: number
  /** Under which it is done once, however often it is sent. */
  readonly key?: string
  /** How long an answer may take. */
  readonly patienceMs?: number
  readonly signal?: AbortSignal
  /** A status beside 200 to 299 whose body is an answer, too. */
  readonly also?: number
}

/** Ask for `path` below /api. Raises `ApiError`; an aborted request raises the abort, as fetch does. */
export async function api<T>(
  path: string,
  { method = "GET", query, body, yaml, revision, key, patienceMs = TIMEOUT_MS, signal, also }: Ask = {},
): Promise<T> {
  // A page of another site cannot send this header, so it cannot use this browser's session.
  const headers: Record<string, string> = { accept: "application/json", "x-requested-with": "twinfold" }
  if (body !== undefined) headers["content-type"] = "application/json"
  if (yaml !== undefined) headers["content-type"] = "application/yaml"
  if (revision !== undefined) headers["if-match"] = `"${revision}"`
  if (key !== undefined) headers["idempotency-key"] = key
  const timeout = AbortSignal.timeout(patienceMs)
  let response: Response
  try {
    response = await fetch(`/api${path}${search(query)}`, {
      method,
      headers,
      body: yaml ?? (body === undefined ? undefined : JSON.stringify(body)),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    })
  } catch (error) {
    if (signal?.aborted) throw error
    throw new ApiError(noAnswer(timeout.aborted ? patienceMs : null))
  }
  if (!response.ok && response.status !== also) throw new ApiError(await problemOf(response))
  const answer = response.status === 204 ? undefined : await contentOf(response)
  if (method !== "GET" && typeof answer?.cursor === "string") reach("command", answer.cursor)
  return answer as T
}

/** What an answer holds: JSON, or a file as its text. */
function contentOf(response: Response) {
  return response.headers.get("content-type")?.includes("json") ? response.json() : response.text()
}

/** Say how far a command or the stream has got. */
export function reach(source: Source, cursor: string): void {
  reached.set(source, { cursor, at: performance.now() })
}

/** Where the last command got to: a list given this cursor shows what was just done. */
export function ownCursor(): string | undefined {
  return newest("command")
}

/** Where the last command and the last word of an alert got to: the live table, and with it every list, is behind the stream. */
export function told(): string[] {
  return [newest("command"), newest("stream")].filter((cursor) => cursor !== undefined)
}

function newest(source: Source): string | undefined {
  const { cursor, at } = reached.get(source) ?? NEVER
  return performance.now() - at < REACHED_MS ? cursor : undefined
}

/** A path segment from an id, which may hold any character. */
export function segment(id: string): string {
  return encodeURIComponent(id)
}

function search(query: Ask["query"]): string {
  const parameters = new URLSearchParams()
  for (const [key, value] of Object.entries(query ?? {})) {
    if (value === undefined || value === null || value === "") continue
    for (const one of Array.isArray(value) ? value : [value]) parameters.append(key, String(one))
  }
  return parameters.size === 0 ? "" : `?${parameters}`
}

/** The one problem that is the app's to word: the API was not there to do it. */
function noAnswer(waitedMs: number | null): Problem {
  const detail = waitedMs === null ? "" : say("problems.noAnswer", { s: waitedMs / 1000 })
  return {
    type: "about:blank",
    title: say("problems.unreachable"),
    status: 0,
    detail,
    code: "api.unreachable",
  }
}

async function problemOf(response: Response): Promise<Problem> {
  const fallback: Problem = {
    type: "about:blank",
    title: response.statusText,
    status: response.status,
    detail: "",
    code: `http.${response.status}`,
  }
  if (!response.headers.get("content-type")?.includes("json")) return fallback
  try {
    return { ...fallback, ...((await response.json()) as Partial<Problem>) }
  } catch {
    return fallback
  }
}
