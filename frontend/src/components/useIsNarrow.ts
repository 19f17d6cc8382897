/** Whether the screen is so narrow that tables fold; the same width as in the stylesheets. */
import { useMediaQuery } from "@mantine/hooks"

export function useIsNarrow(): boolean {
  return useMediaQuery("(max-width: 720px)", undefined, { getInitialValueInEffect: false }) ?? false
}
