/** Accounts and device keys of everybody, for those who manage them, and what was done. */
import {
  infiniteQueryOptions,
  keepPreviousData,
  queryOptions,
  useMutation,
  useQueryClient,
} from "@tanstack/react-query"
import { api, segment } from "./client"
import { keys } from "./queries"
import type { AccountItem, AccountList, AuditPage, KeyList, KeyMade, NewKey, OneTime } from "./schema"

export type Role = AccountItem["role"]
/** From the least to the most that one may do. */
export const ROLES: readonly Role[] = ["viewer", "operator", "engineer", "admin"]

const AUDIT_PAGE = 100
/** The most that a page holds. */
const ALL = 1000

/** Whether a role may do what `least` may. */
export function reaches(role: Role | undefined, least: Role): boolean {
  return role !== undefined && ROLES.indexOf(role) >= ROLES.indexOf(least)
}

export const accountsQuery = queryOptions({
  queryKey: keys.accounts,
  queryFn: ({ signal }) => api<AccountList>("/users", { query: { limit: ALL }, signal }),
})

export const deviceKeysQuery = queryOptions({
  queryKey: keys.deviceKeys,
  queryFn: ({ signal }) => api<KeyList>("/keys", { query: { limit: ALL }, signal }),
})

export interface AuditChoice {
  readonly by?: string
  /** What was done, or how that begins. */
  readonly what?: string
  readonly subject?: string
}

export function auditQuery(choice: AuditChoice) {
  return infiniteQueryOptions({
    queryKey: [...keys.audit, choice],
    queryFn: ({ pageParam, signal }) =>
      api<AuditPage>("/audit", { query: { ...choice, limit: AUDIT_PAGE, after: pageParam }, signal }),
    initialPageParam: null as string | null,
    getNextPageParam: ({ next }) => next,
    placeholderData: keepPreviousData,
  })
}

export function useAddAccount() {
  return useChange(
    (account: { readonly name: string; readonly role: Role; readonly sites: string[] | null }) =>
      api<OneTime>("/users", { method: "POST", body: account }),
  )
}

export interface AccountChange {
  /** At the revision at which it was seen. */
  readonly account: Pick<AccountItem, "name" | "revision">
  readonly change: { readonly role?: Role; readonly disabled?: boolean; readonly sites?: string[] | null }
}

export function useChangeAccount() {
  return useChange(({ account: { name, revision }, change }: AccountChange) =>
    api<AccountItem>(`/users/${segment(name)}`, { method: "PATCH", body: change, revision }),
  )
}

export function useResetPassword() {
  return useChange((name: string) => api<OneTime>(`/users/${segment(name)}/password`, { method: "POST" }))
}

export function useAddKey() {
  return useChange((key: NewKey) => api<KeyMade>("/keys", { method: "POST", body: key }))
}

export function useRotateKey() {
  return useChange((id: string) => api<KeyMade>(`/keys/${segment(id)}/rotate`, { method: "POST" }))
}

export function useRevokeKey() {
  return useChange((id: string) => api(`/keys/${segment(id)}`, { method: "DELETE" }))
}

/** A change after which all of the page is read anew: each also writes a line in the audit. */
function useChange<Wish, Answer>(mutationFn: (wish: Wish) => Promise<Answer>) {
  const cache = useQueryClient()
  return useMutation({
    mutationFn,
    onSuccess: () =>
      Promise.all(
        [keys.accounts, keys.deviceKeys, keys.audit].map((queryKey) => cache.invalidateQueries({ queryKey })),
      ),
  })
}
