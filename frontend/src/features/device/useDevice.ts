/** One device as its shard knows it, kept live, with the type that says what its channels are. */
import { useQuery } from "@tanstack/react-query"
import { deviceQuery, typesQuery } from "@/api/queries"
import type { TypeInfo } from "@/api/schema"
import { useWatch } from "@/api/useStream"

export function useDevice(id: string) {
  const device = useQuery(deviceQuery(id))
  const types = useQuery(typesQuery)
  useWatch([id])
  return {
    device: device.data,
    type: types.data?.find(({ name }) => name === device.data?.type),
    error: device.isError && !device.data ? device.error : null,
    retry: () => void device.refetch(),
  }
}

/** What a channel is called on screen. */
export function channelTitle(type: TypeInfo | undefined, name: string): string {
  const title = type?.channels.find((channel) => channel.name === name)?.title || name.replaceAll("_", " ")
  return title.charAt(0).toUpperCase() + title.slice(1)
}
