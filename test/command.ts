/**
 * The real command in a process of its own, and what it left behind.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach } from 'vitest'
import { stringify } from 'yaml'
import type { Manifest } from '../src/engine/manifest.js'
import type { Metrics } from '../src/observe/metrics.js'
import { place } from './corpora.js'

export { testFolder } from './folder.js'

const BIN = fileURLToPath(new URL('../bin/gristmill.js', import.meta.url))

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  readonly seconds: number
}

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
  /** Runs the command under another one, as in `['setpriv', '--reuid=65534', '--']`. */
  readonly under?: readonly string[]
  /** Called with the process once it is started. */
  readonly onStart?: (child: ChildProcess) => void
  /** Called whenever the process writes, with all that it wrote. */
  readonly onOutput?: (child: ChildProcess, stdout: string, stderr: string) => void
}

/** Processes that run, each with what fails the caller that waits for it. */
const running = new Map<ChildProcess, (reason: Error) => void>()

/** A test that ran out of time, or failed beside its process, leaves neither the process nor itself behind. */
function endRunning(): void {
  for (const [child, fail] of running) {
    fail(new Error('the test was over before the command'))
    child.kill('SIGKILL')
  }
}
afterEach(endRunning)
afterAll(endRunning)

/** Runs `gristmill ARGS` to its end. */
export function gristmill(args: readonly string[], options: CommandOptions = {}): Promise<Ended> {
  return command([process.execPath, BIN, ...args], options)
}

/** Runs any command to its end. */
export async function command(words: readonly string[], options: CommandOptions = {}): Promise<Ended> {
  const { env = {}, cwd, under = [], onStart, onOutput } = options
  const [program, ...args] = [...under, ...words]
  const started = performance.now()
  const child = spawn(program!, args, {
    cwd,
    env: { ...process.env, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text
      onOutput?.(child, output.stdout, output.stderr)
    })
  }
  onStart?.(child)
  const ended = new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    running.set(child, reject)
    child.once('error', reject)
    child.once('close', (exit, by) => resolve([exit, by]))
  })
  const [code, signal] = await ended.finally(() => running.delete(child))
  return { code, signal, ...output, seconds: (performance.now() - started) / 1000 }
}

/** A run that must end with exit code 0; fails with what it said otherwise. */
export async function runWell(
  file: string,
  out: string,
  args: readonly string[] = [],
  options: CommandOptions = {},
): Promise<Ended> {
  const ended = await gristmill(['run', file, '--out', out, ...args], options)
  if (ended.code !== 0) throw new Error(`exit ${ended.code} ${ended.signal}: ${ended.stderr}`)
  return ended
}

/** Writes a pipeline file. */
export function pipelineFile(root: string, pipeline: object, name = 'pipeline.yaml'): string {
  return place(join(root, name), stringify(pipeline))
}

const PROMISED = ['shards', 'ids', 'packs', 'removed', 'edits', 'index', 'stats', 'fitted']

/** SHA-256 of each file whose bytes a run promises, by name; `quarantine` is as fixed as the rest. */
export function outputsOf(out: string, folders: readonly string[] = PROMISED): Record<string, string> {
  const hashes: Record<string, string> = {}
  for (const folder of folders.filter((name) => existsSync(join(out, name)))) {
    for (const name of readdirSync(join(out, folder), { recursive: true, encoding: 'utf8' }).toSorted()) {
      const file = join(out, folder, name)
      if (name.includes('.'))
        hashes[`${folder}/${name}`] = createHash('sha256').update(readFileSync(file)).digest('hex')
    }
  }
  return hashes
}

export function manifestOf(out: string): Manifest {
  return JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8')) as Manifest
}

export function metricsOf(out: string): Metrics {
  return JSON.parse(readFileSync(join(out, 'metrics.json'), 'utf8')) as Metrics
}

/** A record as `quarantine/` holds it. */
export interface QuarantineRecord {
  readonly file: string
  readonly offset: number
  readonly length: number
  readonly code: string
  readonly reason: string
  readonly bytes_base64: string
}

export function quarantineOf(out: string): QuarantineRecord[] {
  const folder = join(out, 'quarantine')
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .toSorted()
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1))
    .map((line) => JSON.parse(line) as QuarantineRecord)
}

/** Rows in = rows out + removed + routed + quarantined + pruned, less what steps added. */
export function isBalanced({ totals }: Manifest): boolean {
  const { rowsIn, added, rowsOut, removed, routed = 0, quarantined, pruned } = totals
  return rowsIn + added === rowsOut + removed + routed + quarantined + pruned
}
