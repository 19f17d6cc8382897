/** How like healthy devices of its type a device is: the share of them that are at least as unusual. */
import { share } from "@/words/figures"
import { say } from "@/words/say"

/** At this share or below a device is called unlike healthy ones, as in the figures of a training. */
export const UNLIKE = 0.05

/** Above it a share is ordinary, and how it moves is not told. */
const ORDINARY = 0.2

/** The share; only that it is ordinary, where it is; empty where it is not known. */
export function likeness(like: number | null): string {
  if (like === null) return ""
  return like > ORDINARY ? say("devices.ordinary", { share: share(ORDINARY) }) : share(like)
}
