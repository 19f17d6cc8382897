/** What to do about devices: what is recommended, what history has of the like, and what people decide. */
import {
  infiniteQueryOptions,
  keepPreviousData,
  queryOptions,
  useMutation,
  useQueryClient,
} from "@tanstack/react-query"
import { api, segment, told } from "./client"
import { useOnce } from "./commands"
import { keys } from "./queries"
import type {
  Decided,
  Finished,
  RecommendationDetail,
  RecommendationPage,
  RecommendationSimulation,
} from "./schema"

export type Decision = "open" | "accepted" | "dismissed" | "done"

export interface AdviceChoice {
  readonly decision?: Decision
  readonly confidence?: string
  readonly device?: string
  readonly type?: string
  readonly site?: string
  readonly sort?: "urgency" | "stake" | "due"
}

/** What a person can decide, and what goes with it. */
export type Deciding =
  | { readonly act: "accept"; readonly body: { readonly note: string } }
  | { readonly act: "dismiss"; readonly body: { readonly reason: string; readonly until?: string } }
  | { readonly act: "done"; readonly body: Finished }

const PAGE = 100
const FOLLOW_MS = 15_000
const CASES_MS = 5 * 60_000

export function recommendationsQuery(choice: AdviceChoice) {
  return infiniteQueryOptions({
    queryKey: [...keys.recommendations, choice],
    queryFn: ({ pageParam, signal }) =>
      api<RecommendationPage>("/recommendations", {
        query: { ...choice, limit: PAGE, after: pageParam, cursor: told() },
        signal,
      }),
    initialPageParam: "",
    getNextPageParam: (page) => page.next,
    placeholderData: keepPreviousData,
    refetchInterval: FOLLOW_MS,
  })
}

/** The few that are worth most, and how many there are in all. */
export function fewRecommendationsQuery(limit: number) {
  return queryOptions({
    queryKey: [...keys.recommendations, "few", limit],
    queryFn: ({ signal }) =>
      api<RecommendationPage>("/recommendations", {
        query: { sort: "stake", limit, cursor: told() },
        signal,
      }),
    placeholderData: keepPreviousData,
    refetchInterval: FOLLOW_MS,
  })
}

/** One, with past cases of its failure mode. */
export function recommendationQuery(id: string) {
  return queryOptions({
    queryKey: [...keys.recommendations, "one", id],
    queryFn: ({ signal }) => api<RecommendationDetail>(`/recommendations/${segment(id)}`, { signal }),
    staleTime: CASES_MS,
  })
}

/** What doing nothing, later and now come to in the device's own futures; they are kept as long as the API keeps them. */
export function simulationQuery(id: string) {
  return queryOptions({
    queryKey: [...keys.recommendations, "simulation", id],
    queryFn: ({ signal }) =>
      api<RecommendationSimulation>(`/recommendations/${segment(id)}/simulation`, { signal }),
    staleTime: CASES_MS,
    retry: false,
  })
}

/**
 * Decide about one. Sent again after no answer came, it repeats nothing. `onDone` is told also where what asked has left the
 * screen by then, as what is decided leaves the list.
 */
export function useDecide(id: string, device: string, onDone: (act: Deciding["act"]) => void) {
  const cache = useQueryClient()
  const once = useOnce()
  return useMutation({
    mutationFn: ({ act, body }: Deciding) =>
      once([id, act, body], (key) =>
        api<Decided>(`/recommendations/${segment(id)}/${act}`, { method: "POST", body, key }),
      ),
    onSuccess: (_, { act }) => onDone(act),
    onSettled: () =>
      Promise.all(
        [keys.recommendations, keys.device(device), keys.events(device)].map((queryKey) =>
          cache.invalidateQueries({ queryKey }),
        ),
      ),
  })
}
