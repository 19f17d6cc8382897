/** Where the app starts: one query cache, one stream, one router. */
import "@fontsource-variable/inter/wght.css"
import "./mantine.css"
import "virtual:theme.css"
import "./global.css"
import { MantineProvider } from "@mantine/core"
import { QueryClient, QueryClientProvider } from "@tanstack/react-query"
import { RouterProvider } from "@tanstack/react-router"
import { StrictMode, useEffect } from "react"
import { createRoot } from "react-dom/client"
import { ApiError } from "@/api/client"
import { bindStream } from "@/api/live"
import { LiveStream, streamAddress } from "@/api/stream"
import { StreamContext } from "@/api/useStream"
import { usePreferences } from "@/words/preferences"
import { makeRouter } from "./router"
import { schemeManager } from "./scheme"
import { theme } from "./theme"

const RETRIES = 2

const cache = new QueryClient({
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
  const { zone } = usePreferences()
  useEffect(() => {
    const unbind = bindStream(stream, cache)
    stream.start()
    return () => {
      stream.stop()
      unbind()
    }
  }, [])
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
          {/* Every time on the screen is written anew when the zone changes. */}
          <RouterProvider key={zone} router={router} />
        </StreamContext>
      </QueryClientProvider>
    </MantineProvider>
  )
}

const root = document.getElementById("app")
if (root)
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  )
