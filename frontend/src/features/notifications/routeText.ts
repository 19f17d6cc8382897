/** A route in words: what it takes, when, and whom it tells. */
import type { ChannelItem, NotificationRouteItem, RouteStep } from "@/api/schema"
import { count } from "@/words/figures"
import { say, sayOf } from "@/words/say"
import { span } from "@/words/times"

export function takesText({ priority = "low", sites, types, rules }: NotificationRouteItem): string {
  const parts = [
    priority === "critical"
      ? say("notifications.routes.takesCritical")
      : say("notifications.routes.takesAll", { priority: say(`priority.${priority}`) }),
    sites?.length ? say("notifications.routes.at", { sites: sites.join(", ") }) : "",
    types?.length ? say("notifications.routes.ofTypes", { types: types.join(", ") }) : "",
    rules?.length ? say("notifications.routes.byRules", { rules: rules.join(", ") }) : "",
  ]
  return parts.filter(Boolean).join(", ")
}

export function whenText({ schedule, quiet, quiet_priority, zone }: NotificationRouteItem): string {
  const parts = [hoursText(schedule ?? []) || say("notifications.routes.always")]
  if (quiet?.length) {
    const priority = say(`priority.${quiet_priority ?? "critical"}`)
    parts.push(`${say("notifications.routes.quiet", { priority })} ${hoursText(quiet)}`)
  }
  return `${parts.join("; ")} (${zone ?? "UTC"})`
}

export function stepText({ after_s = 0, to }: RouteStep, channels: readonly ChannelItem[]): string {
  const names = to.map((each) => receiverText(each, channels)).join(", ")
  if (after_s === 0) return say("notifications.routes.atOnce", { to: names })
  return say("notifications.routes.after", { wait: span(after_s * 1000), to: names })
}

/** "channel:4711", "account:ann" or "role:operator" as people call them. */
export function receiverText(receiver: string, channels: readonly ChannelItem[]): string {
  const at = receiver.indexOf(":")
  const [kind, name] = [receiver.slice(0, at), receiver.slice(at + 1)]
  if (kind === "role") return say("notifications.route.role", { name: sayOf("roles", name, name) })
  if (kind === "account") return say("notifications.route.account", { name })
  const channel = channels.find(({ id }) => id === name)
  return channel
    ? say("notifications.route.channel", { name: channel.name })
    : say("notifications.route.gone")
}

type Stretches = NonNullable<NotificationRouteItem["schedule"]>

/** "Mon Tue 16:00–07:00"; of many, how many. */
function hoursText(hours: Stretches): string {
  if (hours.length > 2) return say("notifications.routes.some", { n: count(hours.length) })
  return hours
    .map(({ days, start, end }) => {
      const named = days?.length
        ? days.map((day) => say(`notifications.days.${day}`)).join(" ")
        : say("notifications.everyDay")
      return `${named} ${start}–${end}`
    })
    .join(", ")
}
