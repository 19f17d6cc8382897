import { afterEach, beforeEach, expect, test, vi } from "vitest"
import type { ServerMessage } from "./schema"
import { behindAt, isDelayed, LiveStream } from "./stream"

/** A socket whose other end is the test. */
class Wire {
  static all: Wire[] = []
  readonly sent: { type: string; devices: string[]; cursor: string | null }[] = []
  readyState = 0
  onopen: (() => void) | null = null
  onmessage: ((event: { data: string }) => void) | null = null
  onclose: (() => void) | null = null
  onerror: (() => void) | null = null

  constructor() {
    Wire.all.push(this)
  }
  send(text: string) {
    this.sent.push(JSON.parse(text))
  }
  close() {
    this.readyState = 3
  }
  open() {
    this.readyState = 1
    this.onopen?.()
  }
  say(message: object) {
    this.onmessage?.({ data: JSON.stringify(message) })
  }
  static get last(): Wire {
    return Wire.all.at(-1) as Wire
  }
}

const T0 = Date.parse("2026-01-01T00:00:00Z")
let stream: LiveStream
let heard: ServerMessage[]

beforeEach(() => {
  vi.useFakeTimers({ now: T0 })
  Wire.all = []
  heard = []
  stream = new LiveStream("ws://there/api/live", {
    open: () => new Wire() as unknown as WebSocket,
    random: () => 1,
    now: Date.now,
  })
  stream.listen((message) => heard.push(message))
  stream.start()
})

afterEach(() => {
  stream.stop()
  vi.useRealTimers()
})

function update(cursor: string, asOf = new Date().toISOString()) {
  return { type: "data_update", seq: 1, cursor, data: { fleet: { as_of: asOf } } }
}

test("subscribes when the socket opens, without a cursor at first", () => {
  Wire.last.open()
  expect(Wire.last.sent).toEqual([
    { type: "subscribe", topics: ["fleet", "alerts", "devices"], devices: [], cursor: null },
  ])
})

test("goes on after the last cursor when the connection comes back", () => {
  Wire.last.open()
  Wire.last.say({ type: "hello", cursor: "c1" })
  Wire.last.say(update("c2"))
  Wire.last.onclose?.()
  expect(stream.status().phase).toBe("reconnecting")
  vi.advanceTimersByTime(500)
  Wire.last.open()
  expect(Wire.all).toHaveLength(2)
  expect(Wire.last.sent[0]?.cursor).toBe("c2")
  Wire.last.say({ type: "gap", missed: 7 })
  expect(heard.at(-1)).toEqual({ type: "gap", missed: 7 })
  expect(stream.status().phase).toBe("live")
})

test("waits longer after each failure, up to half a minute, and starts over once it was live", () => {
  const waits: number[] = []
  for (let i = 0; i < 9; i++) {
    Wire.last.onclose?.()
    waits.push((stream.status().retryAt ?? 0) - Date.now())
    vi.advanceTimersByTime(30_000)
  }
  expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
  Wire.last.open()
  Wire.last.say({ type: "hello", cursor: "c" })
  Wire.last.onclose?.()
  expect((stream.status().retryAt ?? 0) - Date.now()).toBe(500)
})

test("shortens a wait by chance, to no less than half of it", () => {
  const lucky = new LiveStream("ws://there", {
    open: () => new Wire() as unknown as WebSocket,
    random: () => 0,
    now: Date.now,
  })
  lucky.start()
  Wire.last.onclose?.()
  expect((lucky.status().retryAt ?? 0) - Date.now()).toBe(250)
  lucky.stop()
})

test("takes silence for a lost connection", () => {
  Wire.last.open()
  Wire.last.say({ type: "hello", cursor: "c" })
  vi.advanceTimersByTime(39_000)
  Wire.last.say({ type: "heartbeat", at: new Date().toISOString() })
  vi.advanceTimersByTime(39_000)
  expect(stream.status().phase).toBe("live")
  vi.advanceTimersByTime(1_001)
  expect(stream.status().phase).toBe("reconnecting")
})

test("says once what is watched, however many parts ask in one turn", async () => {
  Wire.last.open()
  const first = stream.watch(["a", "b"])
  stream.watch(["b", "c"])
  await Promise.resolve()
  expect(Wire.last.sent).toHaveLength(2)
  expect(Wire.last.sent[1]?.devices).toEqual(["a", "b", "c"])
  first()
  await Promise.resolve()
  expect(Wire.last.sent[2]?.devices).toEqual(["b", "c"])
})

test("measures how far the screen is behind, apart from the difference of the clocks", () => {
  Wire.last.open()
  const serverNow = () => new Date(Date.now() - 60_000).toISOString()
  Wire.last.say({ type: "heartbeat", at: serverNow() })
  expect(stream.skew).toBe(60_000)
  Wire.last.say(update("c", new Date(Date.now() - 60_000 - 200).toISOString()))
  expect(stream.status().behindMs).toBe(200)
  expect(stream.behindQuantile(0.99)).toBe(200)
})

test("falls further behind while updates stay away, though the server is heard", () => {
  const behind = () => behindAt(stream.status(), Date.now())
  Wire.last.open()
  Wire.last.say({ type: "heartbeat", at: new Date().toISOString() })
  expect(behind()).toBeNull()
  Wire.last.say(update("c", new Date(Date.now() - 300).toISOString()))
  vi.advanceTimersByTime(4_000)
  expect(behind()).toBe(300)
  expect(isDelayed(behind())).toBe(false)
  vi.advanceTimersByTime(26_000)
  Wire.last.say({ type: "heartbeat", at: new Date().toISOString() })
  Wire.last.say({ type: "data_update", seq: 2, cursor: "d", data: { devices: {} } })
  expect(stream.status().phase).toBe("live")
  expect(behind()).toBe(30_300)
  expect(isDelayed(behind())).toBe(true)
  Wire.last.say(update("e", new Date(Date.now() - 200).toISOString()))
  expect(behind()).toBe(200)
})

test("hears nothing more once stopped", () => {
  Wire.last.open()
  stream.stop()
  vi.advanceTimersByTime(60_000)
  expect(Wire.all).toHaveLength(1)
})
