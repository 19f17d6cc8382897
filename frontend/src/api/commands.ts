/** What a person can do: commands to the API, and what to read anew afterwards. */
import { type QueryClient, queryOptions, useMutation, useQueryClient } from "@tanstack/react-query"
import { useRef } from "react"
import { ApiError, api, segment } from "./client"
import { keys } from "./queries"
import type {
  AlertCommand,
  AlertItem,
  AlertMatch,
  AlertOrder,
  AlertsDone,
  Correction,
  DeviceCommands,
  DevicesDone,
  FleetEvent,
  FleetEvents,
  Maintenance,
  MaintenanceItem,
  NotesNeeded,
} from "./schema"

export interface Outcome {
  readonly done: readonly AlertItem[]
  readonly refused: readonly Refusal[]
}

export interface Refusal {
  readonly alert: AlertItem
  readonly reason: string
  /** What somebody else did to it meanwhile. */
  readonly before?: FleetEvent
}

export interface AlertAct {
  readonly command: AlertCommand
  readonly alerts: readonly AlertItem[]
  readonly order?: AlertOrder
  /** What follows once it was answered. */
  readonly after?: () => void
}

/** Which commands must say why, by the alert's priority. */
export const notesNeededQuery = queryOptions({
  queryKey: keys.notesNeeded,
  queryFn: ({ signal }) => api<NotesNeeded>("/alerts/notes", { signal }),
  staleTime: 5 * 60_000,
})

/** Told what became of each command, however many are under way. */
interface Told {
  readonly onSuccess?: (outcome: Outcome, act: AlertAct) => void
  readonly onError?: (error: Error) => void
}

/** Send one command about some alerts; each may be refused for itself. */
export function useAlertCommand(told: Told = {}) {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: ({ command, alerts, order }: AlertAct) => send(command, alerts, order ?? {}),
    ...told,
    onSettled: () => readAnew(cache),
  })
}

export function useLogMaintenance(id: string) {
  const cache = useQueryClient()
  const once = useOnce()
  return useMutation({
    mutationFn: (entry: Maintenance) =>
      once([id, entry], (key) =>
        api(`/devices/${segment(id)}/maintenance`, { method: "POST", body: entry, key }),
      ),
    onSuccess: () =>
      Promise.all([
        cache.invalidateQueries({ queryKey: keys.device(id) }),
        cache.invalidateQueries({ queryKey: keys.events(id) }),
      ]),
  })
}

/** Say what a record should have said. */
export function useCorrectMaintenance({ id, device_id, corrections }: MaintenanceItem) {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: (correction: Correction) =>
      api(`/maintenance/${segment(id)}/corrections`, {
        method: "POST",
        body: correction,
        revision: corrections,
      }),
    onSuccess: () => cache.invalidateQueries({ queryKey: keys.events(device_id) }),
  })
}

export interface Wish {
  readonly what: "property" | "command"
  readonly name: string
  readonly values: Readonly<Record<string, unknown>>
  readonly note: string
  /** Of what is desired, as it was seen: who was later is told so. */
  readonly version: number
}

/** Ask one thing of a device. */
export function useAsk(id: string) {
  const cache = useQueryClient()
  const once = useOnce()
  return useMutation({
    mutationFn: (wish: Wish) => once([id, wish], (key) => ask(id, wish, key)),
    onSuccess: () =>
      Promise.all([
        cache.invalidateQueries({ queryKey: keys.device(id) }),
        cache.invalidateQueries({ queryKey: keys.events(id) }),
      ]),
  })
}

function ask(id: string, { what, name, values, note, version }: Wish, key: string) {
  return what === "property"
    ? api(`/devices/${segment(id)}/properties`, {
        method: "PATCH",
        body: { properties: values, note },
        revision: version,
        key,
      })
    : api(`/devices/${segment(id)}/commands`, {
        method: "POST",
        body: { command: name, parameters: values, note },
        key,
      })
}

/** Send under a key that stays for the same until it succeeded: sent again after no answer came, it repeats nothing. */
export function useOnce() {
  const sent = useRef({ text: "", key: "" })
  return async <Answer>(what: unknown, send: (key: string) => Promise<Answer>) => {
    const text = JSON.stringify(what)
    if (sent.current.text !== text) sent.current = { text, key: newKey() }
    const answer = await send(sent.current.key)
    sent.current = { text: "", key: "" }
    return answer
  }
}

export interface MatchAct {
  readonly command: AlertCommand
  readonly matching: AlertMatch
  readonly note?: string
}

/** Ask one thing of all alerts that match, seen or not. */
export function useMatchingCommand() {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: (act: MatchAct) => api<AlertsDone>("/alerts/commands", { method: "POST", body: act }),
    onSettled: () => readAnew(cache),
  })
}

/** Devices that something is asked of: those named, or all that match. */
export type DeviceWhich = Pick<DeviceCommands, "devices" | "matching">
export type DeviceAct = NonNullable<DeviceCommands["act"]>

const MANY_MS = 120_000

/** How many devices that are, by type; counted once for each time that it is asked on a screen. */
export function deviceCountQuery(which: DeviceWhich) {
  return queryOptions({
    queryKey: ["device count", which],
    queryFn: ({ signal }) =>
      api<DevicesDone>("/devices/commands", { method: "POST", body: { ...which, dry_run: true }, signal }),
    gcTime: 0,
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
  })
}

/** Ask one thing of many devices, each by itself. Sent again after no answer came, it repeats nothing. */
export function useDeviceCommand() {
  const cache = useQueryClient()
  const once = useOnce()
  return useMutation({
    mutationFn: (body: DeviceWhich & Pick<DeviceCommands, "act" | "expected">) =>
      once(body, (key) =>
        api<DevicesDone>("/devices/commands", { method: "POST", body, key, patienceMs: MANY_MS }),
      ),
    onSettled: () =>
      Promise.all(
        [keys.deviceLists, keys.summary, keys.map, keys.alertLists].map((queryKey) =>
          cache.invalidateQueries({ queryKey }),
        ),
      ),
  })
}

function newKey(): string {
  return crypto.getRandomValues(new Uint32Array(4)).join("-")
}

async function send(
  command: AlertCommand,
  alerts: readonly AlertItem[],
  order: AlertOrder,
): Promise<Outcome> {
  const [only] = alerts
  const outcome =
    only && alerts.length === 1 ? await sendOne(command, only, order) : await sendMany(command, alerts, order)
  const [first, ...others] = outcome.refused
  return first
    ? { ...outcome, refused: [{ ...first, before: await lastAct(first.alert) }, ...others] }
    : outcome
}

async function sendOne(command: AlertCommand, alert: AlertItem, order: AlertOrder): Promise<Outcome> {
  try {
    await api(`/alerts/${segment(alert.id)}/${command}`, { method: "POST", body: order })
    return { done: [alert], refused: [] }
  } catch (error) {
    return {
      done: [],
      refused: [{ alert, reason: error instanceof ApiError ? error.message : String(error) }],
    }
  }
}

async function sendMany(
  command: AlertCommand,
  alerts: readonly AlertItem[],
  order: AlertOrder,
): Promise<Outcome> {
  const body = { command, alerts: alerts.map(({ id }) => id), ...order }
  const { refused } = await api<AlertsDone>("/alerts/commands", { method: "POST", body })
  const reasons = new Map(refused.map(({ alert, detail }) => [alert, detail]))
  return {
    done: alerts.filter(({ id }) => !reasons.has(id)),
    refused: alerts
      .filter(({ id }) => reasons.has(id))
      .map((alert) => ({ alert, reason: reasons.get(alert.id) ?? "" })),
  }
}

/** What a person did last to this occurrence of an alert; nothing where that cannot be read. */
async function lastAct({ device_id, rule, occurrence }: AlertItem): Promise<FleetEvent | undefined> {
  try {
    const { items } = await api<FleetEvents>("/events", {
      query: { device: device_id, rule, kind: "alert", limit: 20 },
    })
    return items.find(({ detail }) => detail.by && detail.occurrence === occurrence)
  } catch {
    return undefined
  }
}

function readAnew(cache: QueryClient) {
  return Promise.all(
    [keys.alertLists, keys.summary, keys.journal].map((queryKey) => cache.invalidateQueries({ queryKey })),
  )
}
