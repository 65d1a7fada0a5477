/**
 * Which start of which machine this is. What a process wrote before a restart may not have reached the
 * disk; with the same boot id it is there.
 */
import { readFileSync } from 'node:fs'
import { hostname, uptime } from 'node:os'

/** A text that changes when the machine restarts. */
export function bootId(): string {
  try {
    return `${hostname()} ${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}`
  } catch {
    // Elsewhere than on Linux: the time of the start, to the minute, since the clock is adjusted now and then.
    return `${hostname()} ${Math.round((Date.now() / 1000 - uptime()) / 60)}`
  }
}
