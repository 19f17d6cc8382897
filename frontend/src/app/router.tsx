/** The pages and their addresses. What a person chose on a page is in its address. */
import type { QueryClient } from "@tanstack/react-query"
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  type ErrorComponentProps,
  Link,
  lazyRouteComponent,
} from "@tanstack/react-router"
import { alertSearch, deviceListSearch, deviceSearch } from "@/addresses"
import { deviceQuery, mapQuery, summaryQuery } from "@/api/queries"
import { Empty, Failed } from "@/components/states"
import { say } from "@/words/say"
import { Shell } from "./Shell"

const root = createRootRouteWithContext<{ readonly cache: QueryClient }>()({
  component: Shell,
  notFoundComponent: NotFound,
})

const overview = createRoute({
  getParentRoute: () => root,
  path: "/",
  loader: ({ context: { cache } }) => {
    cache.prefetchQuery(summaryQuery)
    cache.prefetchQuery(mapQuery)
  },
  component: lazyRouteComponent(() => import("@/features/overview/OverviewPage"), "OverviewPage"),
})

const devices = createRoute({
  getParentRoute: () => root,
  path: "/devices",
  validateSearch: deviceListSearch,
  component: lazyRouteComponent(() => import("@/features/devices/DevicesPage"), "DevicesPage"),
})

const device = createRoute({
  getParentRoute: () => root,
  path: "/devices/$id",
  validateSearch: deviceSearch,
  loader: ({ context: { cache }, params: { id } }) => {
    cache.prefetchQuery(deviceQuery(id))
  },
  component: lazyRouteComponent(() => import("@/features/device/DevicePage"), "DevicePage"),
})

const alerts = createRoute({
  getParentRoute: () => root,
  path: "/alerts",
  validateSearch: alertSearch,
  component: lazyRouteComponent(() => import("@/features/alerts/AlertsPage"), "AlertsPage"),
})

const people = createRoute({
  getParentRoute: () => root,
  path: "/people",
  component: lazyRouteComponent(() => import("@/features/people/PeoplePage"), "PeoplePage"),
})

const tree = root.addChildren([overview, devices, device, alerts, people])

export function makeRouter(cache: QueryClient) {
  return createRouter({
    routeTree: tree,
    context: { cache },
    defaultPreload: "intent",
    defaultPreloadStaleTime: 0,
    defaultErrorComponent: Broken,
    scrollRestoration: true,
  })
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>
  }
}

function Broken({ error }: ErrorComponentProps) {
  return <Failed error={error} retry={() => window.location.reload()} />
}

function NotFound() {
  return (
    <Empty title={say("app.notFound")} action={<Link to="/">{say("app.toOverview")}</Link>}>
      {say("app.notFoundHelp")}
    </Empty>
  )
}
