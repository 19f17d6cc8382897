/** What a person can do: commands to the API, and what to read anew afterwards. */
import { useMutation, useQueryClient } from "@tanstack/react-query"
import { ApiError, api, segment } from "./client"
import { keys } from "./queries"
import type { AlertCommand, AlertItem, AlertOrder, Maintenance } from "./schema"

export interface Outcome {
  readonly done: readonly AlertItem[]
  readonly refused: readonly { readonly alert: AlertItem; readonly reason: string }[]
}

export interface AlertAct {
  readonly command: AlertCommand
  readonly alerts: readonly AlertItem[]
  readonly order?: AlertOrder
}

const AT_ONCE = 6

/** Send one command about some alerts; each may be refused for itself. */
export function useAlertCommand() {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: ({ command, alerts, order }: AlertAct) => send(command, alerts, order ?? {}),
    onSettled: () =>
      Promise.all([
        cache.invalidateQueries({ queryKey: keys.alertLists }),
        cache.invalidateQueries({ queryKey: keys.summary }),
      ]),
  })
}

export function useLogMaintenance(id: string) {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: (entry: Maintenance) =>
      api(`/devices/${segment(id)}/maintenance`, { method: "POST", body: entry }),
    onSuccess: () =>
      Promise.all([
        cache.invalidateQueries({ queryKey: keys.device(id) }),
        cache.invalidateQueries({ queryKey: keys.events(id) }),
      ]),
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
  return useMutation({
    mutationFn: ({ what, name, values, note, version }: Wish) =>
      what === "property"
        ? api(`/devices/${segment(id)}/properties`, {
            method: "PATCH",
            body: { properties: values, note },
            revision: version,
          })
        : api(`/devices/${segment(id)}/commands`, {
            method: "POST",
            body: { command: name, parameters: values, note },
          }),
    onSuccess: () =>
      Promise.all([
        cache.invalidateQueries({ queryKey: keys.device(id) }),
        cache.invalidateQueries({ queryKey: keys.events(id) }),
      ]),
  })
}

async function send(
  command: AlertCommand,
  alerts: readonly AlertItem[],
  order: AlertOrder,
): Promise<Outcome> {
  const done: AlertItem[] = []
  const refused: { alert: AlertItem; reason: string }[] = []
  const waiting = [...alerts]
  const work = async () => {
    for (let alert = waiting.shift(); alert; alert = waiting.shift()) {
      try {
        await api(`/alerts/${segment(alert.id)}/${command}`, { method: "POST", body: order })
        done.push(alert)
      } catch (error) {
        refused.push({ alert, reason: error instanceof ApiError ? error.message : String(error) })
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, alerts.length) }, work))
  return { done, refused }
}
