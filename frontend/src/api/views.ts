/** Saved views of lists: one's own, and those that others share. */
import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query"
import { api, segment } from "./client"
import { keys } from "./queries"
import type { ViewFields, ViewItem, ViewList } from "./schema"

export const deviceViewsQuery = queryOptions({
  queryKey: [...keys.views, "devices"],
  queryFn: ({ signal }) => api<ViewList>("/views", { query: { page: "devices", limit: 1000 }, signal }),
  staleTime: 30_000,
})

export function useAddView() {
  return useViewChange((view: ViewFields) => api<ViewItem>("/views", { method: "POST", body: view }))
}

/** Change a view as it was seen: what is not said stays. */
export function useChangeView() {
  return useViewChange(
    ({ view, change }: { readonly view: ViewItem; readonly change: Partial<ViewFields> }) => {
      const { id: _, owner: __, mine: ___, changed: ____, revision, ...fields } = view
      return api<ViewItem>(`/views/${segment(view.id)}`, {
        method: "PUT",
        body: { ...fields, ...change },
        revision,
      })
    },
  )
}

export function useRemoveView() {
  return useViewChange(({ id, revision }: ViewItem) =>
    api(`/views/${segment(id)}`, { method: "DELETE", revision }),
  )
}

function useViewChange<Wish, Answer>(mutationFn: (wish: Wish) => Promise<Answer>) {
  const cache = useQueryClient()
  return useMutation({
    mutationFn,
    onSettled: () => cache.invalidateQueries({ queryKey: keys.views }),
  })
}
