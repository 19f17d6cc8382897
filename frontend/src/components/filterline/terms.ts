/** What a filter of devices can be about: the terms of its grammar, with the sites, types and channels of a fleet. */
import type { TypeInfo } from "@/api/schema"
import { PRIORITIES } from "../tokens"
import type { Term } from "./completion"

export function termsOf(sites: readonly string[], types: readonly TypeInfo[]): readonly Term[] {
  const channels = new Set(types.flatMap((type) => type.channels.map(({ name }) => name)))
  return [
    { name: "health", kind: "number" },
    { name: "site", kind: "text", choices: sites },
    { name: "type", kind: "text", choices: types.map(({ name }) => name) },
    { name: "status", kind: "text", choices: ["reporting", "stale", "silent", "retired", "importing"] },
    { name: "priority", kind: "text", choices: PRIORITIES },
    { name: "alerts", kind: "number" },
    { name: "unacknowledged", kind: "number" },
    { name: "anomaly_score", kind: "number" },
    { name: "p_fail_24h", kind: "number" },
    { name: "p_fail_7d", kind: "number" },
    { name: "p_fail_30d", kind: "number" },
    { name: "rul_p50_h", kind: "number" },
    { name: "like_healthy", kind: "number" },
    { name: "failure_mode", kind: "text" },
    { name: "anomalous", kind: "flag" },
    { name: "stale", kind: "flag" },
    { name: "silent", kind: "flag" },
    { name: "importing", kind: "flag" },
    { name: "id", kind: "text" },
    { name: "name", kind: "text" },
    { name: "parent", kind: "text" },
    { name: "event_time", kind: "time" },
    { name: "heard_at", kind: "time" },
    ...["drift", "shift", "spike", "stuck", "oscillation", "dropout", "decorrelation"].map(
      (pattern): Term => ({ name: `pattern.${pattern}`, kind: "flag" }),
    ),
    ...[...channels].map((name): Term => ({ name, kind: "number" })),
  ]
}
