/** Where in the list of devices the reader is taken to: the row in the address, and the top of each other list. */
import { useCallback, useEffect, useRef, useState } from "react"
import type { DeviceListSearch } from "@/addresses"
import type { DeviceChoice } from "@/api/queries"

export function usePlace({ row }: DeviceListSearch, { filter, q, sort }: DeviceChoice) {
  const [goTo, setGoTo] = useState(row ? { index: row - 1 } : null)
  const list = JSON.stringify([filter, q, sort])
  const before = useRef(list)
  useEffect(() => {
    if (before.current === list) return
    before.current = list
    setGoTo({ index: 0 })
  }, [list])
  return { goTo, go: useCallback((to: number) => setGoTo({ index: to - 1 }), []) }
}
