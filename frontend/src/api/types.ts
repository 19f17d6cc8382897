/** Device types and their rules: versions, what changes from one to another, and putting one in force. */
import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query"
import { api, segment } from "./client"
import { keys } from "./queries"
import type {
  Activation,
  Staged,
  TypeChanges,
  TypeCheck,
  TypeDetail,
  TypeStanding,
  TypeVersions,
} from "./schema"

/** Every host may compile a type or its rules before it takes them. */
export const INSTALLING_MS = 180_000

/** A type without its rules, or the rules alone. */
export type Part = "type" | "rules"

export function typeQuery(name: string) {
  return queryOptions({
    queryKey: [...keys.types, name],
    queryFn: ({ signal }) => api<TypeDetail>(`/types/${segment(name)}`, { signal }),
  })
}

export function typeVersionsQuery(name: string) {
  return queryOptions({
    queryKey: [...keys.types, name, "versions"],
    queryFn: ({ signal }) => api<TypeVersions>(`/types/${segment(name)}/versions`, { signal }),
  })
}

/** What changes from the first version to the second; both stay as they are for ever. */
export function differencesQuery(name: string, part: Part, first: number, second: number) {
  return queryOptions({
    queryKey: [...keys.types, name, "differences", part, first, second],
    queryFn: ({ signal }) =>
      api<TypeChanges>(`/types/${segment(name)}/differences`, { query: { part, first, second }, signal }),
    staleTime: Number.POSITIVE_INFINITY,
  })
}

/** Where a browser gets a type with its rules, or the rules alone, as a file. */
export function exportAddress(name: string, part: Part): string {
  return `/api/types/${segment(name)}${part === "rules" ? "/rules" : ""}/export`
}

/** Whether a description could be put in force, and what that would change. */
export function useValidate(name: string, part: Part) {
  const path = part === "rules" ? `/types/${segment(name)}/rules/validate` : "/types/validate"
  return useMutation({ mutationFn: (file: string) => api<TypeCheck>(path, { method: "POST", yaml: file }) })
}

export function useStage(name: string, part: Part) {
  return useTypeChange((change: { readonly file: string; readonly why: string; readonly revision: number }) =>
    api<Staged>(staged(name, part), {
      method: "PUT",
      yaml: change.file,
      query: { why: change.why },
      revision: change.revision,
    }),
  )
}

export function useUnstage(name: string) {
  return useTypeChange(({ part, revision }: { readonly part: Part; readonly revision: number }) =>
    api<TypeStanding>(staged(name, part), { method: "DELETE", revision }),
  )
}

export function useActivate(name: string) {
  return useTypeChange(({ revision, ...body }: Activation & { readonly revision: number }) =>
    api<TypeStanding>(`/types/${segment(name)}/activate`, {
      method: "POST",
      body,
      revision,
      patienceMs: INSTALLING_MS,
    }),
  )
}

function staged(name: string, part: Part): string {
  return `/types/${segment(name)}${part === "rules" ? "/rules" : ""}/staged`
}

function useTypeChange<Wish, Answer>(mutationFn: (wish: Wish) => Promise<Answer>) {
  const cache = useQueryClient()
  return useMutation({
    mutationFn,
    onSettled: () => cache.invalidateQueries({ queryKey: keys.types }),
  })
}
