/** The what-if lab: scenarios that are checked and begun, what their experiments come to, and what they leave behind. */
import {
  infiniteQueryOptions,
  keepPreviousData,
  queryOptions,
  useMutation,
  useQueryClient,
} from "@tanstack/react-query"
import { api, segment } from "./client"

export type ExperimentState = "queued" | "running" | "done" | "failed" | "cancelled"

export interface Experiment {
  readonly id: string
  readonly name: string
  readonly title: string
  readonly state: ExperimentState
  /** 0 to 1; null: not known. */
  readonly progress: number | null
  readonly message: string
  readonly by: string
  readonly created_at: string | null
  readonly started_at: string | null
  readonly ended_at: string | null
  readonly arms: readonly string[]
  readonly reference: string
  readonly replications_done: number
  readonly replications_wanted: number
  readonly devices: Readonly<Record<string, number>>
  readonly horizon_h: number
  readonly forked_at: string | null
  readonly metrics: readonly string[]
  readonly trust: string | null
}

export interface ExperimentDetail extends Experiment {
  readonly scenario: Readonly<Record<string, unknown>>
  readonly scenario_text: string
  readonly manifest: Readonly<Record<string, unknown>>
  readonly citation: string
}

export interface ExperimentList {
  readonly items: readonly Experiment[]
  readonly next: string | null
}

export interface Template {
  readonly name: string
  readonly title: string
  readonly text: string
}

export interface ScenarioProblem {
  readonly line: number
  readonly problem: string
  readonly remedy: string
}

export interface CostEstimate {
  readonly devices: Readonly<Record<string, number>>
  readonly arms: number
  readonly replications: number
  readonly device_steps: number
  readonly seconds: number
  readonly memory_mb: number
  readonly disk_mb: number
}

export interface ScenarioCheck {
  readonly scenario: Readonly<Record<string, unknown>> | null
  readonly problems: readonly ScenarioProblem[]
  readonly estimate: CostEstimate | null
}

/** Of an arm against the reference, replication by replication. */
export interface PairedDifference {
  readonly value: number | null
  readonly low: number | null
  readonly high: number | null
  readonly n: number
  readonly correlation: number | null
  readonly variance_ratio: number | null
  /** Of the replications, those in which the arm did better, with its interval. */
  readonly share_better: number | null
  readonly share_better_low: number | null
  readonly share_better_high: number | null
  readonly p_mean_better: number | null
}

export interface ArmResult {
  readonly arm: string
  readonly value: number | null
  readonly low: number | null
  readonly high: number | null
  readonly n: number
  /** Replications that have no value. */
  readonly undefined: number
  readonly difference: PairedDifference | null
}

export interface MetricResult {
  readonly metric: string
  readonly better: "lower" | "higher"
  readonly unit: string
  readonly arms: readonly ArmResult[]
}

export interface ExperimentResults {
  readonly replications: number
  readonly is_partial: boolean
  readonly level: number
  readonly reference: string
  readonly metrics: readonly MetricResult[]
}

export interface ArmFan {
  readonly arm: string
  /** One a stretch of time, as all its columns. */
  readonly median: readonly (number | null)[]
  /** Which share of the futures each pair of `low` and `high` holds. */
  readonly ranges: readonly number[]
  readonly low: readonly (readonly (number | null)[])[]
  readonly high: readonly (readonly (number | null)[])[]
  readonly paths: readonly (readonly (number | null)[])[]
}

export interface Fans {
  readonly metric: string
  readonly unit: string
  readonly group: string | null
  readonly groups: readonly string[]
  readonly start_h: readonly number[]
  readonly bucket_h: number
  readonly arms: readonly ArmFan[]
}

export interface Rerun {
  readonly arm: string
  readonly replication: number
  readonly traces: readonly DeviceTrace[]
}

export interface DeviceTrace {
  readonly device_id: string
  readonly at_h: readonly number[]
  readonly quantities: Readonly<Record<string, readonly (number | null)[]>>
}

export type ResultTable = "buckets" | "runs" | "work" | "events" | "devices" | "metrics"
export type TableFormat = "parquet" | "csv" | "json"

const ALL = ["what-if"] as const
const LIST = [...ALL, "list"] as const
const PAGE = 50
const RUNNING_MS = 1_500
const RESULTS_MS = 4_000
const LIST_MS = 5_000
/** One future is run again, second by second. */
const RERUN_MS = 180_000

export function isOpen({ state }: Pick<Experiment, "state">): boolean {
  return state === "queued" || state === "running"
}

export const templatesQuery = queryOptions({
  queryKey: [...ALL, "templates"],
  queryFn: ({ signal }) => api<{ readonly items: readonly Template[] }>("/whatif/templates", { signal }),
  staleTime: 5 * 60_000,
})

/** Those that run and those that ran, newest first. */
export const experimentsQuery = infiniteQueryOptions({
  queryKey: LIST,
  queryFn: ({ pageParam, signal }) =>
    api<ExperimentList>("/whatif/experiments", { query: { after: pageParam, limit: PAGE }, signal }),
  initialPageParam: "",
  getNextPageParam: (page) => page.next,
  placeholderData: keepPreviousData,
  refetchInterval: ({ state: { data } }) =>
    data?.pages.some(({ items }) => items.some(isOpen)) ? RUNNING_MS : LIST_MS,
})

/** One experiment, followed until it ends. */
export function experimentQuery(id: string) {
  return queryOptions({
    queryKey: [...ALL, id],
    queryFn: ({ signal }) => api<ExperimentDetail>(place(id), { signal }),
    refetchInterval: ({ state: { data } }) => (data && !isOpen(data) ? false : RUNNING_MS),
  })
}

/** What it has come to; `done` is how far it was when that was asked, so that its end is read too. */
export function resultsQuery(id: string, done: string, isRunning: boolean) {
  return queryOptions({
    queryKey: [...ALL, id, "results", done],
    queryFn: ({ signal }) => api<ExperimentResults>(`${place(id)}/results`, { signal }),
    placeholderData: keepPreviousData,
    refetchInterval: isRunning ? RESULTS_MS : false,
  })
}

export function fansQuery(id: string, metric: string, group: string, done: string, isRunning: boolean) {
  return queryOptions({
    queryKey: [...ALL, id, "fans", metric, group, done],
    queryFn: ({ signal }) => api<Fans>(`${place(id)}/fans`, { query: { metric, group }, signal }),
    placeholderData: keepPreviousData,
    refetchInterval: isRunning ? RESULTS_MS : false,
  })
}

/** Whether a scenario can be run, and what that would cost. */
export function scenarioCheckQuery(text: string) {
  return queryOptions({
    queryKey: [...ALL, "check", text],
    queryFn: ({ signal }) =>
      api<ScenarioCheck>("/whatif/check", { method: "POST", yaml: text, patienceMs: 60_000, signal }),
    placeholderData: keepPreviousData,
    staleTime: 60_000,
    gcTime: 60_000,
  })
}

export function tableAddress(id: string, table: ResultTable, format: TableFormat): string {
  return `/api${place(id)}/tables/${table}?format=${format}`
}

export function useBegin() {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: (text: string) =>
      api<Experiment>("/whatif/experiments", { method: "POST", yaml: text, patienceMs: 60_000 }),
    onSuccess: () => cache.invalidateQueries({ queryKey: LIST }),
  })
}

export function useCancel(id: string) {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: () => api<Experiment>(`${place(id)}/cancel`, { method: "POST" }),
    onSettled: () => cache.invalidateQueries({ queryKey: [...ALL, id] }),
  })
}

export function useRemove(id: string) {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: () => api<void>(place(id), { method: "DELETE" }),
    onSuccess: () => cache.invalidateQueries({ queryKey: LIST }),
  })
}

export interface RerunWish {
  readonly arm: string
  readonly replication: number
  readonly device_ids: readonly string[]
}

/** Live through one future again, with what some devices went through. */
export function useRerun(id: string) {
  return useMutation({
    mutationFn: (body: RerunWish) =>
      api<Rerun>(`${place(id)}/reruns`, { method: "POST", body, patienceMs: RERUN_MS }),
  })
}

function place(id: string): string {
  return `/whatif/experiments/${segment(id)}`
}
