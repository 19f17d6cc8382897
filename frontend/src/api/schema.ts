/** The API's types as made from it, and the few words that it has no name for. */
import type { AlertCounts, DeviceItem, FleetEvent } from "./schema.gen"

export type * from "./schema.gen"

export type Priority = keyof AlertCounts
export type DeviceStatus = DeviceItem["status"]
/** What an event says, whichever list it is in. */
export type EventItem = Pick<FleetEvent, "type" | "at" | "recorded_at" | "detail">

/** The last part of `POST /api/alerts/{id}/…`. */
export type AlertCommand =
  | "acknowledge"
  | "reset"
  | "shelve"
  | "unshelve"
  | "suppress"
  | "unsuppress"
  | "remove-from-service"
  | "return-to-service"
  | "assign"
  | "comment"

/** What such a command may carry. */
export interface AlertOrder {
  readonly note?: string
  readonly duration_s?: number
  readonly one_shot?: boolean
  readonly reason?: string
  readonly assignee?: string
}

/** What the alerts of a group share. */
export type AlertGrouping = "cause" | "rule" | "type" | "site" | "device"
