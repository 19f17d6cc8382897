/** Build into the folder that the API serves, and pass API calls on to a running platform while developing. */
import { fileURLToPath } from "node:url"
import {
  convertCssVariables,
  DEFAULT_THEME,
  defaultCssVariablesResolver,
  mergeMantineTheme,
} from "@mantine/core"
import react from "@vitejs/plugin-react"
import type { Plugin } from "vite"
import { defineConfig } from "vitest/config"
import { cssVariables, theme } from "./src/app/theme"

const platform = process.env.TWINFOLD_URL ?? "http://127.0.0.1:8000"

/** What the first page needs of these comes in a few files, not in forty, each of which a slow line would wait for. */
const GROUPS = [
  { name: "tanstack", test: /node_modules\/@tanstack\/(react-)?(query|router|store|history)/ },
  { name: "base", test: /src\/(api(?!\/whatif)|words(?!\/(nb|whatif))|addresses)/ },
  { name: "parts", test: /src\/components\/|node_modules\/@mantine/, minShareCount: 11 },
]

export default defineConfig({
  plugins: [react(), themeStyles()],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  build: {
    outDir: fileURLToPath(new URL("../serve/static", import.meta.url)),
    emptyOutDir: true,
    target: "es2023",
    manifest: true,
    modulePreload: { polyfill: false },
    rolldownOptions: { output: { codeSplitting: { groups: GROUPS } } },
  },
  server: {
    proxy: {
      "/api": { target: platform, ws: true, changeOrigin: true },
    },
  },
  test: {
    environment: "happy-dom",
    include: ["src/**/*.test.{ts,tsx}"],
    css: false,
    restoreMocks: true,
  },
})

/**
 * The theme's variables as a stylesheet, `virtual:theme.css`. Mantine would write them into the page as it runs, which a
 * content security policy without inline styles forbids, and rightly.
 */
function themeStyles(): Plugin {
  const name = "virtual:theme.css"
  return {
    name: "twinfold-theme",
    resolveId: (id) => (id === name ? `\0${name}` : undefined),
    load: (id) => {
      if (id !== `\0${name}`) return undefined
      const whole = mergeMantineTheme(DEFAULT_THEME, theme)
      const [standard, own] = [defaultCssVariablesResolver(whole), cssVariables(whole)]
      return convertCssVariables({
        variables: { ...standard.variables, ...own.variables },
        light: { ...standard.light, ...own.light, "--mantine-color-scheme": "light" },
        dark: { ...standard.dark, ...own.dark, "--mantine-color-scheme": "dark" },
      })
    },
  }
}
