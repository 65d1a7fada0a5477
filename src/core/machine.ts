/**
 * What this machine grants the process: cores and memory, as the defaults of `--workers` and `--memory`.
 *
 * A container's limits live in its control group, which `os` does not look at in Node 20 (memory) or only partly
 * (processor quota). Version 2 keeps one tree under /sys/fs/cgroup, version 1 one tree a controller; a limit of
 * any ancestor binds, so all of them are read up to the root.
 */
import { readFileSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { join, posix } from 'node:path'

/** Share of the granted memory a run may use unless `--memory` says otherwise. */
const DEFAULT_MEMORY_SHARE = 0.7

export interface MachineOptions {
  /** Where `/proc` and `/sys` are; tests pass a folder of their own. */
  readonly root?: string
  /** Cores and bytes the operating system reports. */
  readonly cores?: number
  readonly memoryBytes?: number
}

export interface Machine {
  /** Cores granted, at least 1. */
  readonly cores: number
  /** Memory granted. */
  readonly memoryBytes: number
  /** Default of `--memory`. */
  readonly memoryBudgetBytes: number
}

/** Cores and memory granted to this process. */
export function machine(options: MachineOptions = {}): Machine {
  const root = options.root ?? '/'
  const groups = controlGroups(root)
  const cores = options.cores ?? availableParallelism()
  const quota = groups.reduce((least, group) => Math.min(least, coresOf(group)), Infinity)
  const memory = options.memoryBytes ?? totalmem()
  const memoryBytes = groups.reduce((least, group) => Math.min(least, memoryOf(group)), memory)
  return {
    // A quota of 1.5 cores feeds two workers half idle or one fully busy; rounding up keeps the quota used.
    cores: Math.max(1, Math.min(cores, Math.ceil(quota))),
    memoryBytes,
    memoryBudgetBytes: Math.floor(memoryBytes * DEFAULT_MEMORY_SHARE),
  }
}

interface ControlGroup {
  readonly version: 1 | 2
  readonly folder: string
}

/** The control groups of this process and their ancestors. */
function controlGroups(root: string): ControlGroup[] {
  const groups: ControlGroup[] = []
  for (const line of (readText(join(root, 'proc/self/cgroup')) ?? '').split('\n')) {
    const [hierarchy, controllers, ...rest] = line.split(':')
    const path = rest.join(':')
    if (hierarchy === undefined || controllers === undefined || path === '') continue
    const version = hierarchy === '0' && controllers === '' ? 2 : 1
    const mounts = version === 2 ? ['', 'unified'] : controllers.split(',').flatMap((name) => [name, controllers])
    for (const mount of new Set(mounts)) {
      for (const ancestor of ancestors(path)) {
        groups.push({ version, folder: join(root, 'sys/fs/cgroup', mount, ancestor) })
      }
    }
  }
  return groups
}

/** `/a/b` gives `/a/b`, `/a`, `/`. In a container the path may be the host's; then only `/` exists. */
function ancestors(path: string): string[] {
  const all = [posix.normalize(path)]
  while (all.at(-1) !== '/' && all.at(-1) !== '.') all.push(posix.dirname(all.at(-1)!))
  return all
}

function coresOf({ version, folder }: ControlGroup): number {
  if (version === 2) {
    const [quota, period] = (readText(join(folder, 'cpu.max')) ?? '').trim().split(/\s+/)
    return limit(Number(quota) / Number(period))
  }
  const quota = Number(readText(join(folder, 'cpu.cfs_quota_us')))
  const period = Number(readText(join(folder, 'cpu.cfs_period_us')))
  return limit(quota / period) // a quota of -1 means none
}

function memoryOf({ version, folder }: ControlGroup): number {
  const text = readText(join(folder, version === 2 ? 'memory.max' : 'memory.limit_in_bytes'))
  return limit(Number(text?.trim() || Number.NaN)) // "max" is not a number; version 1's "none" is near 2^63
}

/** What is no positive number binds nothing. */
function limit(value: number): number {
  return value > 0 ? value : Infinity
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined // not Linux, or no such controller
  }
}
