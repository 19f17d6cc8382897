/** The pages and their addresses. What a person chose on a page is in its address. */
import type { QueryClient } from "@tanstack/react-query"
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  type ErrorComponentProps,
  Link,
  lazyRouteComponent,
  redirect,
} from "@tanstack/react-router"
import {
  adviceSearch,
  alertKpiSearch,
  alertSearch,
  auditSearch,
  deviceListSearch,
  deviceSearch,
  experimentSearch,
  journalSearch,
  modelSearch,
  notificationSearch,
  rulesSearch,
  scenarioSearch,
  typeSearch,
} from "@/addresses"
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

const recommendations = createRoute({
  getParentRoute: () => root,
  path: "/recommendations",
  validateSearch: adviceSearch,
  component: lazyRouteComponent(() => import("@/features/advice/RecommendationsPage"), "RecommendationsPage"),
})

const journal = createRoute({
  getParentRoute: () => root,
  path: "/alerts/journal",
  validateSearch: journalSearch,
  component: lazyRouteComponent(() => import("@/features/journal/JournalPage"), "JournalPage"),
})

const alertKpis = createRoute({
  getParentRoute: () => root,
  path: "/alerts/kpis",
  validateSearch: alertKpiSearch,
  component: lazyRouteComponent(() => import("@/features/alertkpis/AlertKpisPage"), "AlertKpisPage"),
})

const rules = createRoute({
  getParentRoute: () => root,
  path: "/alerts/rules",
  component: lazyRouteComponent(() => import("@/features/rules/RuleTypesPage"), "RuleTypesPage"),
})

const rulesOfType = createRoute({
  getParentRoute: () => root,
  path: "/alerts/rules/$type",
  validateSearch: rulesSearch,
  component: lazyRouteComponent(() => import("@/features/rules/RulesPage"), "RulesPage"),
})

const models = createRoute({
  getParentRoute: () => root,
  path: "/models",
  component: lazyRouteComponent(() => import("@/features/models/ModelsPage"), "ModelsPage"),
})

const model = createRoute({
  getParentRoute: () => root,
  path: "/models/$type/$version",
  validateSearch: modelSearch,
  component: lazyRouteComponent(() => import("@/features/models/ModelPage"), "ModelPage"),
})

const whatIf = createRoute({
  getParentRoute: () => root,
  path: "/whatif",
  component: lazyRouteComponent(() => import("@/features/whatif/LibraryPage"), "LibraryPage"),
})

const scenario = createRoute({
  getParentRoute: () => root,
  path: "/whatif/new",
  validateSearch: scenarioSearch,
  component: lazyRouteComponent(() => import("@/features/whatif/EditorPage"), "EditorPage"),
})

const experiment = createRoute({
  getParentRoute: () => root,
  path: "/whatif/$id",
  validateSearch: experimentSearch,
  component: lazyRouteComponent(() => import("@/features/whatif/ExperimentPage"), "ExperimentPage"),
})

const admin = createRoute({
  getParentRoute: () => root,
  path: "/admin",
  component: lazyRouteComponent(() => import("@/features/admin/AdminFrame"), "AdminFrame"),
})

const adminFirst = createRoute({ getParentRoute: () => admin, path: "/", beforeLoad: toPeople })

/** Where people and keys were before. */
const people = createRoute({ getParentRoute: () => root, path: "/people", beforeLoad: toPeople })

const adminPeople = createRoute({
  getParentRoute: () => admin,
  path: "/people",
  component: lazyRouteComponent(() => import("@/features/people/PeoplePage"), "PeoplePage"),
})

const adminAudit = createRoute({
  getParentRoute: () => admin,
  path: "/audit",
  validateSearch: auditSearch,
  component: lazyRouteComponent(() => import("@/features/admin/AuditPage"), "AuditPage"),
})

const adminTypes = createRoute({
  getParentRoute: () => admin,
  path: "/types",
  component: lazyRouteComponent(() => import("@/features/admin/TypesPage"), "TypesPage"),
})

const adminType = createRoute({
  getParentRoute: () => admin,
  path: "/types/$name",
  validateSearch: typeSearch,
  component: lazyRouteComponent(() => import("@/features/admin/TypePage"), "TypePage"),
})

const adminJobs = createRoute({
  getParentRoute: () => admin,
  path: "/jobs",
  component: lazyRouteComponent(() => import("@/features/admin/JobsPage"), "JobsPage"),
})

const adminSystem = createRoute({
  getParentRoute: () => admin,
  path: "/system",
  component: lazyRouteComponent(() => import("@/features/admin/SystemPage"), "SystemPage"),
})

const settings = createRoute({
  getParentRoute: () => root,
  path: "/settings",
  component: lazyRouteComponent(() => import("./SettingsWithSheets"), "SettingsWithSheets"),
})

const notifications = createRoute({
  getParentRoute: () => root,
  path: "/notifications",
  validateSearch: notificationSearch,
  component: lazyRouteComponent(
    () => import("@/features/notifications/NotificationsPage"),
    "NotificationsPage",
  ),
})

const tree = root.addChildren([
  overview,
  devices,
  device,
  alerts,
  recommendations,
  journal,
  alertKpis,
  rules,
  rulesOfType,
  models,
  model,
  whatIf,
  scenario,
  experiment,
  people,
  settings,
  notifications,
  admin.addChildren([adminFirst, adminPeople, adminAudit, adminTypes, adminType, adminJobs, adminSystem]),
])

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

function toPeople(): never {
  throw redirect({ to: "/admin/people", replace: true })
}

function Broken({ error }: ErrorComponentProps) {
  return <Failed error={error} retry={() => window.location.reload()} />
}

function NotFound() {
  return (
    <Empty wholePage title={say("app.notFound")} action={<Link to="/">{say("app.toOverview")}</Link>}>
      {say("app.notFoundHelp")}
    </Empty>
  )
}
