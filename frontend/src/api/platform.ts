/** How the platform itself is: its hosts, and what runs for long in it. */
import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query"
import { api, segment } from "./client"
import { keys } from "./queries"
import type { JobItem, JobList, Readiness, SystemInfo } from "./schema"

const FOLLOW_MS = 5_000
const RUNNING_MS = 1_500

/** Whether every host takes readings, and what each says of itself; 503 says the same of a platform that is not whole. */
export const readyQuery = queryOptions({
  queryKey: keys.ready,
  queryFn: ({ signal }) => api<Readiness>("/ready", { signal, also: 503 }),
  refetchInterval: FOLLOW_MS,
})

/** What runs beside the hosts, of what version, and what history takes on disk. */
export const systemQuery = queryOptions({
  queryKey: keys.system,
  queryFn: ({ signal }) => api<SystemInfo>("/system", { signal }),
  refetchInterval: FOLLOW_MS,
})

export const jobsQuery = queryOptions({
  queryKey: keys.jobs,
  queryFn: ({ signal }) => api<JobList>("/jobs", { query: { limit: 1000 }, signal }),
  refetchInterval: ({ state: { data } }) => (data?.items.some(isOpen) ? RUNNING_MS : FOLLOW_MS),
})

/** One job, followed until it ends. */
export function jobQuery(id: string) {
  return queryOptions({
    queryKey: keys.job(id),
    queryFn: ({ signal }) => api<JobItem>(`/jobs/${segment(id)}`, { signal }),
    refetchInterval: ({ state: { data } }) => (data && !isOpen(data) ? false : RUNNING_MS),
  })
}

/** Whether a job has still to end. */
export function isOpen({ state }: JobItem): boolean {
  return state === "queued" || state === "running"
}

export function useCancelJob() {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: (id: string) => api<JobItem>(`/jobs/${segment(id)}/cancel`, { method: "POST" }),
    onSettled: () => cache.invalidateQueries({ queryKey: keys.jobs }),
  })
}
