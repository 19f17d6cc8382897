/**
 * Makes src/api/schema.gen.ts from the API itself: one command, nothing edited by hand.
 *
 *     npm run types            write it
 *     npm run types:check      fail where it is not what the API says
 */
import { execFileSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, "../../..")
const target = join(here, "../../src/api/schema.gen.ts")
const python = process.env.PYTHON ?? join(root, ".venv/bin/python")

const folder = mkdtempSync(join(tmpdir(), "twinfold-types-"))
try {
  const document = join(folder, "openapi.json")
  const options = {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 1 << 26,
    env: { ...process.env, PYTHONPATH: root },
  }
  writeFileSync(document, execFileSync(python, [join(here, "openapi.py")], options))
  if (!existsSync(join(here, "node_modules"))) npm("ci")
  const { createClient } = await import("@hey-api/openapi-ts")
  await createClient({
    input: document,
    output: { path: join(folder, "out"), postProcess: [] },
    parser: { filters: { orphans: true } },
    plugins: [{ name: "@hey-api/typescript", enums: false }],
    logs: { level: "error" },
  })
  const made = readFileSync(join(folder, "out/types.gen.ts"), "utf8")
  if (!process.argv.includes("--check")) writeFileSync(target, made)
  else if (!existsSync(target) || readFileSync(target, "utf8") !== made) {
    process.stderr.write("src/api/schema.gen.ts is not what the API says; run: npm run types\n")
    process.exitCode = 1
  }
} finally {
  rmSync(folder, { recursive: true })
}

function npm(...words) {
  const script = process.env.npm_execpath
  const [command, first] = script ? [process.execPath, [script]] : ["npm", []]
  execFileSync(command, [...first, ...words], { cwd: here, stdio: "inherit" })
}
