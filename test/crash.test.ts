/**
 * SIGKILL at any point of a run: the same command goes on, ends with the same bytes, and does again only what
 * was not committed.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { gristmill, manifestOf, outputsOf, pipelineFile, runWell } from './command.js'
import { manyTasks, random, wordTokenizer } from './corpora.js'

const WORKERS = 2
const KILLS = 20

/** A run that nobody disturbed, of a pipeline with two stages, a decision, a shuffle and a packing. */
interface Whole {
  readonly file: string
  readonly seconds: number
  /** Tasks of a run. */
  readonly tasks: number
  readonly outputs: Readonly<Record<string, string>>
}

const root = mkdtempSync(join(tmpdir(), 'gristmill-crash-'))
let whole: Whole
beforeAll(async () => {
  whole = await undisturbed()
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

async function undisturbed(): Promise<Whole> {
  manyTasks(root, 8)
  wordTokenizer(root)
  const file = pipelineFile(root, {
    source: { paths: ['data'] },
    steps: [
      'exact-dedup',
      { shuffle: { seed: 7 } },
      { tokenize: { tokenizer: './tokenizer.json' } },
      { pack: { length: 256 } },
    ],
    sink: { format: 'megatron' },
  })
  const out = join(root, 'whole')
  const { seconds } = await runWell(file, out, ['--workers', String(WORKERS)])
  const { attempts } = manifestOf(out)
  expect(attempts).toHaveLength(1)
  return { file, seconds, tasks: attempts[0]!.tasksRun, outputs: outputsOf(out) }
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

const after =
  (ms: number) =>
  async (running: AbortSignal): Promise<void> =>
    sleep(ms, undefined, { signal: running })

test('killed at twenty points of its duration, a run resumes to the same bytes and repeats nothing', async () => {
  const { file, seconds } = whole
  const next = random(20)
  const out = join(root, 'killed')
  let killed = 0
  const stagesReached = new Set<string>()
  for (let kill = 0; kill < KILLS; kill++) {
    const fraction = (kill + next()) / KILLS
    // The first tenth is Node's own start; resumed runs end sooner, so every second kill hits one.
    if (kill % 2 === 0) rmSync(out, { recursive: true, force: true })
    if (await killAt(file, out, after((0.1 + 0.9 * fraction) * seconds * 1000))) killed += 1
    const commits = existsSync(join(out, 'commits')) ? readdirSync(join(out, 'commits')) : []
    for (const name of commits) stagesReached.add(name.slice(0, name.indexOf('-')))
    if (kill % 2 === 1) await expectResumed(out)
  }
  expect(killed).toBeGreaterThan(KILLS / 2)
  expect([...stagesReached].toSorted()).toEqual(['d0', 'p', 's0', 's1'])
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

/** Runs to the end: the same bytes, every task committed once over all attempts. */
async function expectResumed(out: string): Promise<void> {
  const { file, tasks, outputs } = whole
  await runWell(file, out, ['--workers', String(WORKERS), '--quiet'])
  expect(outputsOf(out)).toEqual(outputs)
  const { attempts } = manifestOf(out)
  const committed = attempts.reduce((sum, attempt) => sum + attempt.tasksRun, 0)
  expect(committed, JSON.stringify(attempts)).toBe(tasks)
  const last = attempts.at(-1)!
  expect(last.outcome).toBe('done')
  expect(last.tasksRun + last.tasksSkipped, JSON.stringify(attempts)).toBe(tasks)
}
