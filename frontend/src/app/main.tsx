/** Where the app starts: one query cache, one stream, one router. */
import "@fontsource-variable/inter/wght.css"
import "./mantine.css"
import "virtual:theme.css"
import "./global.css"
import { MantineProvider } from "@mantine/core"
import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query"
import { RouterProvider } from "@tanstack/react-router"
import { StrictMode, useEffect } from "react"
import { createRoot } from "react-dom/client"
import { ApiError } from "@/api/client"
import { askWho, meQuery, sessionEnded } from "@/api/session"
import { settingsQuery } from "@/api/settings"
import { LiveStream, streamAddress } from "@/api/stream"
import { StreamContext } from "@/api/useStream"
import { speakAs } from "@/words/languages"
import { preferences, usePreferences } from "@/words/preferences"
import { makeRouter } from "./router"
import { SessionGate } from "./SessionGate"
import { schemeManager } from "./scheme"
import { theme } from "./theme"
import { useLanguage } from "./useLanguage"

const RETRIES = 2

/** Whoever is told that the session is over has the app ask who is logged in. */
const onError = (error: unknown) => {
  if (sessionEnded(error)) askWho(cache)
}

const cache: QueryClient = new QueryClient({
  queryCache: new QueryCache({ onError }),
  mutationCache: new MutationCache({ onError }),
  defaultOptions: {
    queries: {
      staleTime: 2_000,
      retry: (failures, error) => failures < RETRIES && (!(error instanceof ApiError) || error.passing),
      refetchOnWindowFocus: true,
    },
  },
})
const stream = new LiveStream(streamAddress())
const router = makeRouter(cache)

function App() {
  const { zone, units, density } = usePreferences()
  const language = useLanguage()
  useEffect(() => {
    document.documentElement.dataset.density = density
  }, [density])
  return (
    <MantineProvider
      theme={theme}
      withCssVariables={false}
      withGlobalClasses={false}
      colorSchemeManager={schemeManager}
      defaultColorScheme="auto"
    >
      <QueryClientProvider client={cache}>
        <StreamContext value={stream}>
          {/* All that is on the screen is written anew when the language, the zone or the units change. */}
          <SessionGate>
            <RouterProvider key={`${language} ${zone} ${units}`} router={router} />
          </SessionGate>
        </StreamContext>
      </QueryClientProvider>
    </MantineProvider>
  )
}

// Texts that cannot be loaded now leave the app in English, not blank.
await Promise.all([
  speakAs(preferences().language).catch(() => undefined),
  cache.prefetchQuery(meQuery),
  cache.prefetchQuery(settingsQuery), // what they choose draws all anew: not under somebody's hand
])
const root = document.getElementById("app")
if (root)
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  )
