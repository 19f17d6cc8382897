/** The saved views of the device list: open one, keep what is shown as another, share, rename and delete one's own. */
import { Button, TextInput } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import { type FormEvent, useState } from "react"
import type { DeviceListSearch } from "@/addresses"
import type { ViewItem } from "@/api/schema"
import { useMe } from "@/api/session"
import { deviceViewsQuery, useAddView, useChangeView, useRemoveView } from "@/api/views"
import { Card } from "@/components/Card"
import { type PlainColumn, PlainTable } from "@/components/PlainTable"
import { Problem } from "@/components/Problem"
import { SureButton } from "@/components/SureButton"
import { Failed, Skeleton } from "@/components/states"
import { say } from "@/words/say"
import css from "./Views.module.css"
import { searchOf, shows, viewOf } from "./views"

export function Views({ search }: { readonly search: DeviceListSearch }) {
  const me = useMe()
  const { data, error, refetch } = useQuery(deviceViewsQuery)
  const add = useAddView()
  const change = useChangeView()
  const remove = useRemoveView()
  const [renaming, setRenaming] = useState<string | null>(null)
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = event.currentTarget
    const name = String(new FormData(form).get("name")).trim()
    add.mutate({ page: "devices", name, ...viewOf(search) }, { onSuccess: () => form.reset() })
  }
  const rename = (view: ViewItem) => (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const name = String(new FormData(event.currentTarget).get("name")).trim()
    change.mutate({ view, change: { name } }, { onSuccess: () => setRenaming(null) })
  }
  const columns: PlainColumn<ViewItem>[] = [
    {
      id: "name",
      title: say("views.name"),
      wraps: true,
      cell: (view) =>
        renaming === view.id ? (
          <form className={css.rename} onSubmit={rename(view)}>
            <TextInput
              name="name"
              aria-label={say("views.nameOf", { name: view.name })}
              defaultValue={view.name}
              required
              maxLength={100}
              autoFocus
            />
            <Button type="submit">{say("app.save")}</Button>
          </form>
        ) : (
          <Link
            to="/devices"
            search={searchOf(view)}
            className={css.link}
            activeOptions={{ exact: true }}
            aria-current={shows(search, view) ? "true" : undefined}
          >
            {view.name}
          </Link>
        ),
    },
    {
      id: "filter",
      title: say("views.shows"),
      wraps: true,
      cell: ({ filter, search: q }) => [filter, q].filter(Boolean).join(" · ") || say("views.everything"),
    },
    {
      id: "owner",
      title: say("views.owner"),
      cell: ({ mine, owner, shared }) =>
        mine ? say(shared ? "views.mineShared" : "views.mine") : say("views.sharedBy", { owner }),
    },
    {
      id: "acts",
      title: "",
      cell: (view) =>
        view.mine || me?.role === "admin" ? (
          <>
            {shows(search, view) ? null : (
              <Button
                aria-label={say("views.replaceOf", { name: view.name })}
                onClick={() => change.mutate({ view, change: viewOf(search) })}
              >
                {say("views.replace")}
              </Button>
            )}
            <Button
              aria-label={say(view.shared ? "views.unshareOf" : "views.shareOf", { name: view.name })}
              onClick={() => change.mutate({ view, change: { shared: !view.shared } })}
            >
              {say(view.shared ? "views.unshare" : "views.share")}
            </Button>
            <Button
              aria-label={say("views.renameOf", { name: view.name })}
              onClick={() => setRenaming(renaming === view.id ? null : view.id)}
            >
              {say("views.rename")}
            </Button>
            <SureButton label={say("views.removeOf", { name: view.name })} onSure={() => remove.mutate(view)}>
              {say("app.remove")}
            </SureButton>
          </>
        ) : null,
    },
  ]
  return (
    <Card className={css.views} title={say("views.title")} hint={say("views.help")}>
      <Problem error={add.error ?? change.error ?? remove.error} />
      {error && !data ? <Failed error={error} retry={refetch} /> : null}
      {data ? (
        <PlainTable
          label={say("views.title")}
          columns={columns}
          rows={data.items}
          rowId={({ id }) => id}
          empty={say("views.none")}
        />
      ) : error ? null : (
        <Skeleton rows={2} />
      )}
      <form className={css.add} onSubmit={submit}>
        <TextInput name="name" label={say("views.newName")} required maxLength={100} autoComplete="off" />
        <Button type="submit" loading={add.isPending}>
          {say("views.add")}
        </Button>
      </form>
    </Card>
  )
}
