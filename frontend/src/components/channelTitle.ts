/** What a channel is called on screen. */
import type { TypeInfo } from "@/api/schema"

export function channelTitle(type: TypeInfo | undefined, name: string): string {
  const title = type?.channels.find((channel) => channel.name === name)?.title || name.replaceAll("_", " ")
  return title.charAt(0).toUpperCase() + title.slice(1)
}
