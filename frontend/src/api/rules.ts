/** The alert rules of a type: their versions, their text, what a change would do, and putting others in force. */
import { keepPreviousData, queryOptions, useMutation, useQueryClient } from "@tanstack/react-query"
import { api, segment } from "./client"
import { keys } from "./queries"
import type { JobItem, Rehearsal, Staged, TypeChanges, TypeCheck, TypeStanding, TypeVersions } from "./schema"
import { INSTALLING_MS } from "./types"

/** Days of some devices are run twice. */
const REHEARSING_MS = 60_000

function place(type: string): string {
  return `/types/${segment(type)}`
}

export function ruleVersionsQuery(type: string) {
  return queryOptions({
    queryKey: [...keys.rules(type), "versions"],
    queryFn: ({ signal }) => api<TypeVersions>(`${place(type)}/versions`, { signal }),
    refetchInterval: 15_000,
  })
}

/** The rules as a file: a version of them, or those in force. */
export function rulesTextQuery(type: string, version: number | undefined) {
  return queryOptions({
    queryKey: [...keys.rules(type), "text", version],
    queryFn: ({ signal }) =>
      api<string>(`${place(type)}/rules/export`, { query: { rules: version }, signal }),
    // An editor begins with what is in force, not with what once was.
    gcTime: 0,
  })
}

/** Where the same file is, for saving it. */
export function rulesFile(type: string): string {
  return `/api${place(type)}/rules/export`
}

/** Whether a text could be put in force as rules, and what it would change. */
export function rulesCheckQuery(type: string, text: string) {
  return queryOptions({
    queryKey: [...keys.rules(type), "check", text],
    queryFn: ({ signal }) =>
      api<TypeCheck>(`${place(type)}/rules/validate`, { method: "POST", yaml: text, signal }),
    placeholderData: keepPreviousData,
    staleTime: 60_000,
    gcTime: 60_000,
  })
}

export function ruleDifferencesQuery(type: string, first: number, second: number) {
  return queryOptions({
    queryKey: [...keys.rules(type), "differences", first, second],
    queryFn: ({ signal }) =>
      api<TypeChanges>(`${place(type)}/differences`, { query: { part: "rules", first, second }, signal }),
  })
}

export interface Staging {
  readonly text: string
  readonly why: string
  /** Of what this is a change: who was later is told so. */
  readonly revision: number
}

export function useStageRules(type: string) {
  return useRuleChange(type, ({ text, why, revision }: Staging) =>
    api<Staged>(`${place(type)}/rules/staged`, { method: "PUT", yaml: text, query: { why }, revision }),
  )
}

export function useUnstageRules(type: string) {
  return useRuleChange(type, (revision: number) =>
    api<TypeStanding>(`${place(type)}/rules/staged`, { method: "DELETE", revision }),
  )
}

export interface Activating {
  readonly rules: number
  readonly why: string
  readonly revision: number
}

/** Put a version of the rules in force, an older one, too. */
export function useActivateRules(type: string) {
  return useRuleChange(type, ({ revision, ...body }: Activating) =>
    api<TypeStanding>(`${place(type)}/activate`, {
      method: "POST",
      body,
      revision,
      patienceMs: INSTALLING_MS,
    }),
  )
}

/** A change of what is in force or staged, refused or not: both are read anew. */
function useRuleChange<Wish, Answer>(type: string, mutationFn: (wish: Wish) => Promise<Answer>) {
  const cache = useQueryClient()
  return useMutation({
    mutationFn,
    onSettled: () =>
      Promise.all([
        cache.invalidateQueries({ queryKey: [...keys.rules(type), "versions"] }),
        cache.invalidateQueries({ queryKey: keys.types }),
      ]),
  })
}

export interface Rehearsing {
  readonly text: string
  readonly days: number
  /** Which devices are drawn. */
  readonly seed: number
}

/** What rules would have done over the last days, as some devices tell it: it takes seconds. */
export function useRehearse(type: string) {
  return useMutation({
    mutationFn: ({ text, ...query }: Rehearsing) =>
      api<Rehearsal>(`${place(type)}/rules/rehearse`, {
        method: "POST",
        yaml: text,
        query,
        patienceMs: REHEARSING_MS,
      }),
  })
}

/** The same of all devices, as a job. */
export function useBeginRehearsal(type: string) {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: ({ text, ...query }: Rehearsing) =>
      api<JobItem>(`${place(type)}/rules/rehearsals`, { method: "POST", yaml: text, query }),
    onSuccess: (job) => cache.setQueryData(keys.job(job.id), job),
  })
}
