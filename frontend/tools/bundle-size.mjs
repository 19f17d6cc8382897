/** The scripts each route loads, gzipped, against the budget: 200 kB for the first, 60 kB more for any other. */
import { readFileSync } from "node:fs"
import { gzipSync } from "node:zlib"

const FIRST_KB = 200
const LATER_KB = 60
const FIRST = "src/features/overview/OverviewPage.tsx"

const built = new URL("../../serve/static/", import.meta.url)
const manifest = JSON.parse(readFileSync(new URL(".vite/manifest.json", built), "utf8"))
const entry = Object.keys(manifest).find((key) => manifest[key].isEntry)

function files(key, found = new Set()) {
  const { file, imports = [] } = manifest[key]
  if (found.has(file)) return found
  found.add(file)
  for (const each of imports) files(each, found)
  return found
}

function size(names) {
  return [...names].reduce((sum, name) => sum + gzipSync(readFileSync(new URL(name, built))).length, 0) / 1000
}

const first = new Set([...files(entry), ...files(FIRST)])
const routes = Object.keys(manifest).filter((key) => manifest[key].isDynamicEntry && key !== FIRST)
let over = report("first route", size(first), FIRST_KB)
for (const key of routes) {
  const more = [...files(key)].filter((name) => !first.has(name))
  over = report(key.replace(/^src\//, ""), size(more), LATER_KB) || over
}
process.exit(over ? 1 : 0)

function report(name, kilobytes, most) {
  const text = `${kilobytes.toFixed(1).padStart(7)} kB of ${String(most).padStart(3)}  ${name}`
  process.stdout.write(`${text}${kilobytes > most ? "  OVER BUDGET" : ""}\n`)
  return kilobytes > most
}
