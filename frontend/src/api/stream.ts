/**
 * The one socket of this tab: what happens in the fleet, as it happens.
 *
 * It keeps the cursor of the last message, so that after a lost connection the server goes on from there; where it
 * cannot, it says `gap`, and whoever listens reads anew. A connection that falls silent counts as lost. Waits between
 * attempts double up to half a minute, each shortened by chance, so that a restarted server is not met by all at once.
 */
import type { ServerMessage } from "./schema"

export type Topic = "fleet" | "alerts" | "devices"

export interface StreamStatus {
  readonly phase: "connecting" | "live" | "reconnecting"
  /** How far the last update was behind the devices' data, ms; null until one came. */
  readonly behindMs: number | null
  /** When that update came, epoch ms of this computer. */
  readonly updatedAt: number | null
  /** When the last message came, epoch ms of this computer. */
  readonly heardAt: number | null
  /** When the next attempt is due, epoch ms of this computer. */
  readonly retryAt: number | null
}

/** What the stream needs of its world; tests bring their own. */
export interface StreamWorld {
  readonly open: (url: string) => WebSocket
  readonly random: () => number
  readonly now: () => number
}

const BASE_MS = 500
const CEILING_MS = 30_000
const SILENCE_MS = 40_000
const BEHIND_KEPT = 300
/** Updates come each second: one that is missing for so long is overdue. */
const OVERDUE_MS = 5000
/** Further behind than this is not live. */
const DELAYED_MS = 5000

export class LiveStream {
  private readonly url: string
  private readonly world: StreamWorld
  private socket: WebSocket | null = null
  private cursor: string | null = null
  private attempt = 0
  private stopped = true
  private retry: ReturnType<typeof setTimeout> | undefined
  private silence: ReturnType<typeof setTimeout> | undefined
  private announced = false
  private skewMs = Number.POSITIVE_INFINITY
  private readonly behind: number[] = []
  private readonly watched = new Map<string, number>()
  private readonly listeners = new Set<(message: ServerMessage) => void>()
  private readonly statusListeners = new Set<() => void>()
  private current: StreamStatus = {
    phase: "connecting",
    behindMs: null,
    updatedAt: null,
    heardAt: null,
    retryAt: null,
  }

  constructor(url: string, world: StreamWorld = BROWSER) {
    this.url = url
    this.world = world
  }

  /** Connect, and stay connected until `stop`. */
  start(): void {
    if (!this.stopped) return
    this.stopped = false
    globalThis.addEventListener?.("online", this.connectNow)
    this.connect()
  }

  stop(): void {
    this.stopped = true
    globalThis.removeEventListener?.("online", this.connectNow)
    this.dropSocket()
    clearTimeout(this.retry)
  }

  /** Hear every message; answers how to stop. */
  listen(listener: (message: ServerMessage) => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** Ask for the live columns of these devices for as long as somebody does; answers how to stop. */
  watch(ids: readonly string[]): () => void {
    for (const id of ids) this.watched.set(id, (this.watched.get(id) ?? 0) + 1)
    this.announce()
    return () => {
      for (const id of ids) {
        const left = (this.watched.get(id) ?? 1) - 1
        if (left > 0) this.watched.set(id, left)
        else this.watched.delete(id)
      }
      this.announce()
    }
  }

  /** The state of the connection; the same object until it changes. */
  status = (): StreamStatus => this.current

  /** Hear when the status changes; answers how to stop. */
  followStatus = (listener: () => void): (() => void) => {
    this.statusListeners.add(listener)
    return () => this.statusListeners.delete(listener)
  }

  /** The share `q` of the recent updates was behind by no more than this, ms; null until one came. */
  behindQuantile(q: number): number | null {
    if (this.behind.length === 0) return null
    const sorted = [...this.behind].sort((a, b) => a - b)
    return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? null
  }

  /** How many updates `behindQuantile` looks back on. */
  get measured(): number {
    return this.behind.length
  }

  /** Do not wait for the next attempt. */
  connectNow = (): void => {
    if (this.stopped || this.socket) return
    clearTimeout(this.retry)
    this.connect()
  }

  private connect(): void {
    const socket = this.world.open(this.url)
    this.socket = socket
    if (this.attempt > 0) this.setStatus({ phase: "reconnecting", retryAt: null })
    this.expectSound()
    socket.onopen = () => this.subscribe()
    socket.onmessage = ({ data }) => this.receive(String(data))
    socket.onclose = () => this.lost(socket)
    socket.onerror = () => this.lost(socket)
  }

  private lost(socket: WebSocket): void {
    if (socket !== this.socket) return
    this.dropSocket()
    if (this.stopped) return
    const ceiling = Math.min(CEILING_MS, BASE_MS * 2 ** this.attempt)
    const wait = ceiling * (0.5 + 0.5 * this.world.random())
    this.attempt += 1
    this.setStatus({ phase: "reconnecting", retryAt: this.world.now() + wait })
    this.retry = setTimeout(() => this.connect(), wait)
  }

  private dropSocket(): void {
    const socket = this.socket
    this.socket = null
    clearTimeout(this.silence)
    if (!socket) return
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null
    socket.close()
  }

  private expectSound(): void {
    clearTimeout(this.silence)
    this.silence = setTimeout(() => this.socket && this.lost(this.socket), SILENCE_MS)
  }

  /** Tell the server what is watched: once for all that changed in this turn. */
  private announce(): void {
    if (this.announced) return
    this.announced = true
    queueMicrotask(() => {
      this.announced = false
      if (this.socket?.readyState === 1) this.subscribe()
    })
  }

  private subscribe(): void {
    const topics: Topic[] = ["fleet", "alerts", "devices"]
    const devices = [...this.watched.keys()]
    this.socket?.send(JSON.stringify({ type: "subscribe", topics, devices, cursor: this.cursor }))
  }

  private receive(text: string): void {
    this.expectSound()
    const message = JSON.parse(text) as ServerMessage
    const at = this.world.now()
    if ("cursor" in message && message.cursor) this.cursor = message.cursor
    if (message.type === "heartbeat") this.measureSkew(at, message.at)
    const behindMs = message.type === "data_update" ? this.measureBehind(at, message.data.fleet?.as_of) : null
    this.attempt = 0
    const updated = behindMs === null ? {} : { behindMs, updatedAt: at }
    this.setStatus({ phase: "live", heardAt: at, retryAt: null, ...updated })
    for (const listener of this.listeners) listener(message)
  }

  /** The least difference ever seen between the two clocks is the skew: the rest of it was the way here. */
  private measureSkew(at: number, sent: string): void {
    const difference = at - Date.parse(sent)
    if (Number.isFinite(difference)) this.skewMs = Math.min(this.skewMs, difference)
  }

  /** By how much this computer's clock runs ahead of the server's, ms; 0 until known. */
  get skew(): number {
    return Number.isFinite(this.skewMs) ? this.skewMs : 0
  }

  private measureBehind(at: number, asOf: string | null | undefined): number | null {
    if (!asOf) return null
    const behindMs = Math.max(0, at - Date.parse(asOf) - this.skew)
    if (!Number.isFinite(behindMs)) return null
    this.behind.push(behindMs)
    if (this.behind.length > BEHIND_KEPT) this.behind.shift()
    return behindMs
  }

  private setStatus(change: Partial<StreamStatus>): void {
    this.current = { ...this.current, ...change }
    for (const listener of this.statusListeners) listener()
  }
}

const BROWSER: StreamWorld = {
  open: (url) => new WebSocket(url),
  random: Math.random,
  now: Date.now,
}

/**
 * How far what is shown is behind the devices' data at a time (epoch ms of this computer), ms; null until an update came.
 * It grows while updates stay away, whatever else is heard of the server.
 */
export function behindAt({ behindMs, updatedAt }: StreamStatus, at: number): number | null {
  if (behindMs === null || updatedAt === null) return null
  const waited = at - updatedAt
  return waited > OVERDUE_MS ? behindMs + waited : behindMs
}

/** Whether that is too far for it to be called live. */
export function isDelayed(behindMs: number | null): boolean {
  return behindMs !== null && behindMs > DELAYED_MS
}

/** Where the live socket of this page's server is. */
export function streamAddress(location: Location = window.location): string {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/live`
}
