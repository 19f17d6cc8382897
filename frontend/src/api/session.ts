/** Who is logged in, and how that begins and ends. The session itself is a cookie that no script can read. */
import { type QueryClient, queryOptions, useMutation, useQuery, useQueryClient } from "@tanstack/react-query"
import { ApiError, api, segment } from "./client"
import { keys } from "./queries"
import type { LoggedIn, Me, PasswordChange, SessionList, TotpSecret } from "./schema"

export interface Credentials {
  readonly name: string
  readonly password: string
  readonly code?: string
}

const ASK_AGAIN_MS = 5 * 60_000

/** Whom this page belongs to, also when their session has ended. */
export type Seat = Me & { readonly ended?: true }

/** Who is logged in; null: nobody was yet. Asked again now and then, so that a session that ended elsewhere shows. */
export const meQuery = queryOptions({
  queryKey: keys.me,
  queryFn: async ({ client, signal }): Promise<Seat | null> => {
    try {
      return await api<Me>("/me", { signal })
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 401)) throw error
      const before = client.getQueryData<Seat>(keys.me)
      return before ? { ...before, ended: true } : null
    }
  },
  staleTime: ASK_AGAIN_MS,
  refetchInterval: ASK_AGAIN_MS,
})

/** Whether an error says that nobody is logged in any more. */
export function sessionEnded(error: unknown): boolean {
  return error instanceof ApiError && error.status === 401 && error.problem.code === "login.required"
}

/** Have it asked who is logged in, where that is not known to be over. */
export function askWho(cache: QueryClient): void {
  if (!cache.getQueryData<Seat>(keys.me)?.ended) cache.invalidateQueries({ queryKey: keys.me })
}

/** Who is logged in, once that is known, or was until their session ended. */
export function useMe(): Seat | null {
  return useQuery(meQuery).data ?? null
}

export function useLogIn() {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: ({ code, ...credentials }: Credentials) =>
      api<LoggedIn>("/login", {
        method: "POST",
        body: { ...credentials, ...(code ? { code } : {}), session: "browser" },
      }),
    onSuccess: async () => {
      await cache.invalidateQueries({ queryKey: keys.me })
      cache.invalidateQueries()
    },
  })
}

/** End the session; the page is loaded anew, so that nothing of what was seen stays in it. */
export function useLogOut() {
  return useMutation({
    mutationFn: async () => {
      try {
        await api("/logout", { method: "POST" })
      } catch (error) {
        if (!sessionEnded(error)) throw error
      }
    },
    onSuccess: () => location.reload(),
  })
}

export function useChangePassword() {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: (change: PasswordChange) => api("/me/password", { method: "POST", body: change }),
    onSuccess: () => cache.invalidateQueries({ queryKey: keys.me }),
  })
}

/** A secret for an authenticator app; it counts once a code of it was seen. */
export function useBeginTotp() {
  return useMutation({ mutationFn: () => api<TotpSecret>("/me/totp", { method: "POST" }) })
}

export function useConfirmTotp() {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: (code: string) => api("/me/totp/confirm", { method: "POST", body: { code } }),
    onSuccess: () => cache.invalidateQueries({ queryKey: keys.me }),
  })
}

export function useEndTotp() {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: (password: string) => api("/me/totp/off", { method: "POST", body: { password } }),
    onSuccess: () => cache.invalidateQueries({ queryKey: keys.me }),
  })
}

/** Where one is logged in. */
export const sessionsQuery = queryOptions({
  queryKey: keys.sessions,
  queryFn: ({ signal }) => api<SessionList>("/me/sessions", { signal }),
})

export function useEndSession() {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: (id: string) => api(`/me/sessions/${segment(id)}`, { method: "DELETE" }),
    onSuccess: () => cache.invalidateQueries({ queryKey: keys.sessions }),
  })
}
