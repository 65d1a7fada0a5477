/**
 * SIGKILL at any point of a run: the same command goes on, ends with the same bytes, and does again only what
 * was not committed.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, expect, test } from 'vitest'
import { gristmill, manifestOf, metricsOf, outputsOf, pipelineFile, runWell } from './command.js'
import { manyTasks, random, wordTokenizer } from './corpora.js'
import { testFolder } from './folder.js'

const WORKERS = 2
const KILLS = 20

/** A run that nobody disturbed, of a pipeline with two stages, a decision, a shuffle and a packing. */
interface Whole {
  readonly file: string
  /** How long it worked, less the start of the process. */
  readonly workMs: number
  /** Tasks of a run. */
  readonly tasks: number
  readonly outputs: Readonly<Record<string, string>>
}

const root = testFolder('crash')
let whole: Whole
let near: Whole | undefined
beforeAll(async () => {
  whole = await undisturbed('exact-dedup')
})

/** A run with a decision, and one with a decision in rounds. */
async function undisturbed(dedup: 'exact-dedup' | 'minhash-dedup'): Promise<Whole> {
  manyTasks(root, 8)
  wordTokenizer(root)
  const steps = [
    dedup,
    { shuffle: { seed: 7 } },
    { tokenize: { tokenizer: './tokenizer.json' } },
    { pack: { length: 256 } },
  ]
  const pipeline = { source: { paths: ['data'] }, steps, sink: { format: 'megatron' } }
  const file = pipelineFile(root, pipeline, `${dedup}.yaml`)
  const out = join(root, `whole-${dedup}`)
  await runWell(file, out, ['--workers', String(WORKERS)])
  const { attempts } = manifestOf(out)
  expect(attempts).toHaveLength(1)
  return { file, workMs: metricsOf(out).wallSeconds * 1000, tasks: attempts[0]!.tasksRun, outputs: outputsOf(out) }
}

/** Starts the run and kills it as soon as `moment` resolves; whether it lived that long. */
async function killAt(file: string, out: string, moment: (running: AbortSignal) => Promise<void>): Promise<boolean> {
  const ended = new AbortController()
  const run = gristmill(['run', file, '--out', out, '--workers', String(WORKERS), '--quiet'], {
    onStart: (child) =>
      void moment(ended.signal).then(
        () => child.kill('SIGKILL'),
        () => {},
      ),
  })
  const { signal, code, stderr } = await run
  ended.abort()
  if (signal === null && code !== 0) throw new Error(`exit ${code}: ${stderr}`)
  return signal === 'SIGKILL'
}

/** Resolves a little after a file shows up: `name` is matched against the names in a folder. */
const appears =
  (folder: string, name: RegExp, afterMs = 0) =>
  async (running: AbortSignal): Promise<void> => {
    while (!(existsSync(folder) && readdirSync(folder).some((entry) => name.test(entry))))
      await sleep(1, undefined, { signal: running })
    await sleep(afterMs, undefined, { signal: running })
  }

test('killed twenty times in the course of its work, a run resumes to the same bytes and repeats nothing', async () => {
  const next = random(20)
  const out = join(root, 'killed')
  const attempts = join(out, 'work/attempts')
  let killed = 0
  for (let tries = 0; killed < KILLS; tries++) {
    expect(tries, `only ${killed} runs lived until they were to be killed`).toBeLessThan(3 * KILLS)
    rmSync(out, { recursive: true, force: true })
    const point = next()
    if (!(await killAt(whole.file, out, appears(attempts, /^000001/, point * whole.workMs)))) continue
    killed += 1
    // And once more while it resumes, unless little was left to do.
    if (await killAt(whole.file, out, appears(attempts, /^000002/, next() * (1 - point) * whole.workMs))) killed += 1
    await expectResumed(out)
  }
}, 240_000)

test.each([
  ['the first commit', 'commits', /^s0-/, 0],
  ['the decision', 'commits', /^d0-/, 0],
  ['the second stage', 'commits', /^s1-/, 0],
  ['packing', 'commits', /^p-/, 0],
  ['publishing', 'work', /^published\.json$/, 0],
  ['publishing, a moment later', 'work', /^published\.json$/, 3],
  ['the first final name', 'shards', /./, 0],
  ['the manifest', '.', /^manifest\.json$/, 0],
] as const)('killed at %s, a run resumes to the same bytes', async (what, folder, name, afterMs) => {
  const out = join(root, `killed-at-${what.replaceAll(/\W/gu, '-')}`)
  const killed = await killAt(whole.file, out, appears(join(out, folder), name, afterMs))
  // With its manifest written, a run is about to end by itself.
  if (what !== 'the manifest') expect(killed).toBe(true)
  await expectResumed(out)
})

test.each([
  ['the first bucket', 0],
  ['a moment later', 15],
  ['among the sets', 60],
  ['about the clusters', 150],
])('killed while near-duplicates are decided, %s, a run resumes to the same bytes', async (_when, afterMs) => {
  near ??= await undisturbed('minhash-dedup')
  const out = join(root, `killed-near-${afterMs}`)
  await killAt(near.file, out, appears(join(out, 'commits'), /^d0-/, afterMs))
  await expectResumed(out, near)
})

/** Runs to the end: the same bytes, every task committed once over all attempts. */
async function expectResumed(out: string, { file, tasks, outputs }: Whole = whole): Promise<void> {
  await runWell(file, out, ['--workers', String(WORKERS), '--quiet'])
  expect(outputsOf(out)).toEqual(outputs)
  const { attempts } = manifestOf(out)
  const committed = attempts.reduce((sum, attempt) => sum + attempt.tasksRun, 0)
  expect(committed, JSON.stringify(attempts)).toBe(tasks)
  const last = attempts.at(-1)!
  expect(last.outcome).toBe('done')
  expect(last.tasksRun + last.tasksSkipped, JSON.stringify(attempts)).toBe(tasks)
}
