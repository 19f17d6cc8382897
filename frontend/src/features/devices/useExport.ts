/**
 * The filtered list as a file, read page after page: the API has no file of it. It is in the order of the ids whatever the
 * table's is: ids stand still, while a device whose value moves past the end of a page would be left out.
 */
import { useRef, useState } from "react"
import { type DeviceChoice, devicePage } from "@/api/queries"
import type { DevicePage } from "@/api/schema"
import { saveCsv } from "@/components/csv"
import { notify } from "@/components/notices"
import { count } from "@/words/figures"
import { say } from "@/words/say"
import { CSV_HEAD, csvOf } from "./csv"

export interface Export {
  /** How many devices have been read; null: none is under way. */
  readonly read: number | null
  readonly begin: () => void
  readonly stop: () => void
}

export function useExport(choice: DeviceChoice): Export {
  const [read, setRead] = useState<number | null>(null)
  const running = useRef<AbortController | null>(null)
  const begin = async () => {
    const stopping = new AbortController()
    running.current = stopping
    setRead(0)
    try {
      const { parts, devices } = await readAll(choice, stopping.signal, setRead)
      saveCsv(`twinfold-devices-${new Date().toISOString().slice(0, 16).replace(":", "")}.csv`, parts)
      notify({ text: say("devices.exported", { n: devices, shown: count(devices) }) })
    } catch (error) {
      if (!stopping.signal.aborted)
        notify({ text: say("devices.notExported", { reason: (error as Error).message }), failed: true })
    } finally {
      setRead(null)
    }
  }
  return { read, begin, stop: () => running.current?.abort() }
}

async function readAll(
  choice: DeviceChoice,
  signal: AbortSignal,
  tell: (read: number) => void,
): Promise<{ parts: string[]; devices: number }> {
  const parts = [CSV_HEAD]
  let devices = 0
  let after: string | undefined | null
  while (after !== null) {
    const page: DevicePage = await devicePage({ ...choice, sort: "id" }, { after }, EXPORT_PAGE, signal)
    parts.push(csvOf(page.items))
    devices += page.items.length
    tell(devices)
    after = page.next
  }
  return { parts, devices }
}

const EXPORT_PAGE = 1_000
