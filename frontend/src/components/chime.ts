/**
 * What a new alert sounds like: short tones, made as they are needed. The more urgent, the higher and the more of them, so
 * that priorities are told apart without looking (after IEC 60601-1-8: bursts of five, three, two and one).
 */
import type { Priority } from "@/api/schema"

interface Tones {
  /** Hz, one pulse each. */
  readonly pulses: readonly number[]
  readonly gapS: number
}

const TONES: Readonly<Record<Priority, Tones>> = {
  critical: { pulses: [880, 880, 880, 1109, 1109], gapS: 0.17 },
  high: { pulses: [659, 659, 784], gapS: 0.22 },
  medium: { pulses: [523, 440], gapS: 0.26 },
  low: { pulses: [392], gapS: 0 },
}
const PULSE_S = 0.12
const RISE_S = 0.015
const LOUDNESS = 0.25

let context: AudioContext | null = null

/** Sound out a priority. A browser stays silent until somebody has touched the page. */
export function chime(priority: Priority): void {
  if (typeof AudioContext === "undefined") return
  context ??= new AudioContext()
  if (context.state === "suspended") context.resume()
  const { pulses, gapS } = TONES[priority]
  for (const [i, hz] of pulses.entries()) pulse(context, hz, context.currentTime + i * gapS)
}

/** One tone that rises and falls softly: a hard edge clicks. */
function pulse(audio: AudioContext, hz: number, at: number): void {
  const [tone, volume] = [audio.createOscillator(), audio.createGain()]
  tone.type = "triangle"
  tone.frequency.value = hz
  volume.gain.setValueAtTime(0, at)
  volume.gain.linearRampToValueAtTime(LOUDNESS, at + RISE_S)
  volume.gain.setValueAtTime(LOUDNESS, at + PULSE_S - RISE_S)
  volume.gain.linearRampToValueAtTime(0, at + PULSE_S)
  tone.connect(volume).connect(audio.destination)
  tone.start(at)
  tone.stop(at + PULSE_S)
}
