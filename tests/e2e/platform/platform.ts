/** A platform as `twinfold up` brings it up, in processes of its own: real Ray, real Serve. */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join, resolve } from "node:path"
import type { APIRequestContext, Browser, BrowserContext } from "@playwright/test"

const ROOT = resolve(process.cwd(), "..")
const PYTHON = process.env.PYTHON ?? join(ROOT, ".venv/bin/python")
const UP_WITHIN_MS = 900_000 // a first start may have to compile
const LOOK_EVERY_MS = 250
const HEADERS = { "x-requested-with": "twinfold" }
export const PASSWORD = "grey heron over the lock gate"

interface Options {
  /** A fleet file of simulated devices, as YAML. */
  readonly fleet?: string
  /** Device types by their name, as YAML. */
  readonly types?: Readonly<Record<string, string>>
  /** Settings by their environment name, without the prefix. */
  readonly settings?: Readonly<Record<string, string>>
  /** Where it does not suffice Ray keeps the live table on disk, and whoever reads it waits. */
  readonly storeMb?: number
}

export class Platform {
  /** Its own folder, short, since sockets lie in it. */
  private readonly folder = mkdtempSync("/tmp/tfp-")
  private process: ChildProcess | null = null
  url = ""
  /** Name and password of the first admin, for one use. */
  admin = { name: "", password: "" }

  private constructor(
    private readonly port: number,
    private readonly options: Options,
  ) {
    mkdirSync(join(this.folder, "types"))
    for (const [name, text] of Object.entries(options.types ?? {}))
      writeFileSync(join(this.folder, "types", `${name}.yaml`), text)
    if (options.fleet) writeFileSync(join(this.folder, "fleet.yaml"), options.fleet)
  }

  static async up(options: Options = {}): Promise<Platform> {
    const platform = new Platform(await freePort(), options)
    await platform.start()
    return platform
  }

  get pid(): number {
    return this.process?.pid ?? 0
  }

  /** Start it on the data there is, and wait until it answers. */
  async start(): Promise<void> {
    const log = join(this.folder, "up.log")
    writeFileSync(log, "")
    const out = openSync(log, "a")
    const { fleet, settings = {}, storeMb = 400 } = this.options
    const argv = ["-c", "from cluster.cli import main; main()", "up", "--json", "--port", String(this.port)]
    argv.push("--data", join(this.folder, "data"), "--types", join(this.folder, "types"), "--hosts", "2")
    if (fleet) argv.push("--simulate", join(this.folder, "fleet.yaml"))
    const own = {
      PYTHONPATH: ROOT,
      TWINFOLD_RAY__TEMP_DIR: join(this.folder, "r"),
      TWINFOLD_RAY__OBJECT_STORE_MB: String(storeMb),
    }
    const given = Object.fromEntries(
      Object.entries(settings).map(([name, text]) => [`TWINFOLD_${name}`, text]),
    )
    const env = { ...withoutSettings(process.env), ...own, ...given }
    this.process = spawn(PYTHON, argv, { cwd: ROOT, env, stdio: ["ignore", out, out], detached: true })
    const about = await until(UP_WITHIN_MS, "twinfold up", () => {
      const text = readFileSync(log, "utf8")
      if (this.process?.exitCode !== null) throw new Error(text)
      const line = text.split("\n").find((each) => each.includes('"url"'))
      return line ? JSON.parse(line) : null
    })
    this.url = about.url
    if (about.password) this.admin = { name: about.admin, password: about.password }
    await until(UP_WITHIN_MS, "/api/ready", () =>
      fetch(`${this.url}/api/ready`, { headers: this.headers }).then(
        ({ ok }) => ok,
        () => false,
      ),
    )
  }

  /** With which this machine's own commands are let in. */
  get headers(): Record<string, string> {
    return { authorization: `Bearer ${readFileSync(join(this.folder, "data/secrets/local-token"), "utf8")}` }
  }

  /** `kill -9` of the foremost process. */
  async kill(): Promise<void> {
    await this.end("SIGKILL")
  }

  async stop(): Promise<void> {
    await this.end("SIGINT")
    rmSync(this.folder, { recursive: true, force: true })
  }

  private async end(signal: "SIGKILL" | "SIGINT"): Promise<void> {
    const ended = this.process
    if (!ended || ended.exitCode !== null || ended.signalCode !== null) return
    const gone = new Promise((done) => ended.once("exit", done))
    ended.kill(signal)
    await gone
  }

  async post(path: string, body: unknown): Promise<Record<string, unknown>> {
    const answer = await fetch(this.url + path, {
      method: "POST",
      headers: { ...this.headers, "content-type": "application/json" },
      body: JSON.stringify(body),
    })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text.slice(0, 400)}`)
    return JSON.parse(text)
  }

  async register(type: string, ids: readonly string[], more: object = {}): Promise<void> {
    for (let i = 0; i < ids.length; i += 1000)
      await this.post("/api/devices", {
        devices: ids.slice(i, i + 1000).map((id) => ({ id, type, ...more })),
      })
  }

  /** One reading of some devices, now. */
  async send(ids: readonly string[], values: Readonly<Record<string, number>>): Promise<void> {
    const time = new Date().toISOString()
    await this.post("/api/readings", { readings: ids.map((device) => ({ device, time, values })) })
  }

  /** A browser in which the admin has chosen a password and is logged in. */
  async loggedIn(browser: Browser): Promise<BrowserContext> {
    const context = await browser.newContext({ baseURL: this.url })
    const { name, password } = this.admin
    await logIn(context.request, name, password)
    await context.request.post("/api/me/password", {
      data: { old: password, new: PASSWORD },
      headers: HEADERS,
    })
    await logIn(context.request, name, PASSWORD)
    this.admin.password = PASSWORD
    return context
  }
}

/** An environment without what others have set for a platform, or for the browser tests. */
function withoutSettings(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith("TWINFOLD_")))
}

async function logIn(request: APIRequestContext, name: string, password: string): Promise<void> {
  const answer = await request.post("/api/login", {
    data: { name, password, session: "browser" },
    headers: HEADERS,
  })
  if (!answer.ok()) throw new Error(await answer.text())
}

/** Ask again until there is an answer. */
export async function until<T>(
  withinMs: number,
  what: string,
  holds: () => T | Promise<T>,
): Promise<NonNullable<T>> {
  const deadline = Date.now() + withinMs
  while (Date.now() < deadline) {
    const found = await holds()
    if (found) return found
    await new Promise((done) => setTimeout(done, LOOK_EVERY_MS))
  }
  throw new Error(`it did not come about: ${what}`)
}

function freePort(): Promise<number> {
  return new Promise((done) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const address = probe.address()
      probe.close(() => done(typeof address === "object" ? (address?.port ?? 0) : 0))
    })
  })
}
