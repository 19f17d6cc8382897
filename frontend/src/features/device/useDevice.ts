/** One device as its shard knows it, kept live, with the type that says what its channels are. */
import { useQuery } from "@tanstack/react-query"
import { deviceQuery, typesQuery } from "@/api/queries"
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
