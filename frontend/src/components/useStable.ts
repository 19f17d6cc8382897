/** A callback that stays the same function while what it does is another at each drawing. */
import { useCallback, useLayoutEffect, useRef } from "react"

export function useStable<Args extends readonly unknown[]>(
  callback: ((...args: Args) => void) | undefined,
): (...args: Args) => void {
  const newest = useRef(callback)
  useLayoutEffect(() => {
    newest.current = callback
  })
  return useCallback((...args) => newest.current?.(...args), [])
}
