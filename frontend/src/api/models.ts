/** Versions of trained models: those that there are, which is better, and putting one in force. */
import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query"
import { api, segment } from "./client"
import { keys } from "./queries"
import type {
  JobItem,
  ModelChanges,
  ModelComparison,
  ModelDetail,
  ModelDrift,
  ModelItem,
  ModelList,
  ModelRecord,
  PromotionReport,
} from "./schema"

/** Others put models in force, and trainings end, without a word of the socket. */
const FOLLOW_MS = 15_000
/** Moments of a record are a day apart, and it takes the API a while. */
const RECORD_MS = 600_000
/** Days of some devices are run twice. */
const REPORTING_MS = 60_000

function place(type: string, version?: number): string {
  return `/models/${segment(type)}${version === undefined ? "" : `/${version}`}`
}

export const modelsQuery = queryOptions({
  queryKey: [...keys.models, "all"],
  queryFn: ({ signal }) => api<ModelList>("/models", { query: { limit: 1000 }, signal }),
  refetchInterval: FOLLOW_MS,
})

export function modelQuery(type: string, version: number) {
  return queryOptions({
    queryKey: [...keys.models, type, version],
    queryFn: ({ signal }) => api<ModelDetail>(place(type, version), { signal }),
    refetchInterval: FOLLOW_MS,
  })
}

/** A version against the one in force or, where none is, against one forecast for all devices. */
export function comparisonQuery(type: string, version: number) {
  return queryOptions({
    queryKey: [...keys.models, type, "against", version],
    queryFn: ({ signal }) =>
      api<ModelComparison>(`${place(type)}/compare`, { query: { b: version }, signal }),
    refetchInterval: FOLLOW_MS,
  })
}

export function modelChangesQuery(type: string) {
  return queryOptions({
    queryKey: [...keys.models, type, "changes"],
    queryFn: ({ signal }) => api<ModelChanges>(`${place(type)}/changes`, { signal }),
    refetchInterval: FOLLOW_MS,
  })
}

/** Whether the version in force still fits the devices that it is asked about. */
export function driftQuery(type: string) {
  return queryOptions({
    queryKey: [...keys.models, type, "drift"],
    queryFn: ({ signal }) => api<ModelDrift>(`${place(type)}/drift`, { signal }),
    refetchInterval: FOLLOW_MS,
  })
}

/** What forecasts of the last days were worth against what then happened, by version. */
export function recordQuery(type: string, days: number) {
  return queryOptions({
    queryKey: [...keys.models, type, "record", days],
    queryFn: ({ signal }) => api<ModelRecord>(`${place(type)}/record`, { query: { days }, signal }),
    staleTime: RECORD_MS,
    refetchInterval: RECORD_MS,
  })
}

export interface TrainingWish {
  readonly type: string
  readonly with_age: boolean
  readonly promote: boolean
}

/** Have a version made from the failures in history, as a job. */
export function useTraining() {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: ({ type, ...body }: TrainingWish) =>
      api<JobItem>(`${place(type)}/train`, { method: "POST", body: { ...body, seed: 0 } }),
    onSettled: () => cache.invalidateQueries({ queryKey: keys.jobs }),
  })
}

export interface ReportWish {
  readonly days: number
  /** Which devices are drawn. */
  readonly seed: number
}

/** Which past alerts a version would have changed, as some devices tell it: it takes seconds. */
export function useReport(type: string, version: number) {
  return useMutation({
    mutationFn: (query: ReportWish) =>
      api<PromotionReport>(`${place(type, version)}/report`, {
        method: "POST",
        query: { ...query },
        patienceMs: REPORTING_MS,
      }),
  })
}

/** The same of all devices, as a job. */
export function useBeginReport(type: string, version: number) {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: (query: ReportWish) =>
      api<JobItem>(`${place(type, version)}/reports`, { method: "POST", query: { ...query } }),
    onSuccess: (job) => cache.setQueryData(keys.job(job.id), job),
  })
}

export interface ModelWish {
  readonly act: "promote" | "rollback"
  readonly reason: string
}

/** Put a version in force or, where it is, the one before it. */
export function useModelChange(type: string, version: number) {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: ({ act, reason }: ModelWish) => {
      const path = act === "promote" ? place(type, version) : place(type)
      return api<ModelItem>(`${path}/${act}`, { method: "POST", body: { reason } })
    },
    onSettled: () => cache.invalidateQueries({ queryKey: keys.models }),
  })
}
