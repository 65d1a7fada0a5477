/**
 * The guard: a step that removes nearly all rows of a language or a source stops the run before anything is
 * published, and goes on when that was meant, without computing anything again.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { gristmill, manifestOf, metricsOf, pipelineFile, testFolder } from './command.js'
import { place } from './corpora.js'

interface Counts {
  readonly en: number
  readonly zh: number
}

/** English documents of four words, Chinese ones without a space. */
function corpus(root: string, { en, zh }: Counts, more: object = {}): void {
  const rows = [
    ...Array.from({ length: en }, (_, n) => ({ text: `some words in English ${n}`, lang: 'en', ...more })),
    ...Array.from({ length: zh }, (_, n) => ({ text: `没有空格的文字${n}`, lang: 'zh', ...more })),
  ]
  place(join(root, 'data/a.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
}

const SPACES = { filter: "text like '% %'" }

function pipelineOf(root: string, steps: readonly unknown[], name = 'pipeline.yaml'): string {
  return pipelineFile(root, { source: { paths: 'data' }, steps, sink: 'jsonl' }, name)
}

const stop = 'error GM_GUARD: filter removed 1,200 of 1,200 rows (100.0 %) with lang zh'

test('a language that a filter empties stops the run before the next stage, with exit code 4', async () => {
  const root = testFolder('guard')
  corpus(root, { en: 1500, zh: 1200 })
  const file = pipelineOf(root, [SPACES, 'exact-dedup'])
  const out = join(root, 'run')
  const args = ['run', file, '--out', out, '--workers', '1']
  const stopped = await gristmill([...args, '--json'])
  expect(stopped.code).toBe(4)
  expect(stopped.stderr).toContain(stop)
  expect(stopped.stderr).toContain('hint: if that is meant, run the same command with --allow filter:zh; nothing')
  const events = stopped.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  expect(events.filter(({ event }) => event === 'stage')).toHaveLength(1)
  expect(events.at(-1)).toMatchObject({ event: 'error', code: 'GM_GUARD' })
  expect(existsSync(join(out, 'manifest.json'))).toBe(false)
  expect(existsSync(join(out, 'shards'))).toBe(false)

  const unheard = await gristmill([...args, '--allow', 'filter:de'])
  expect(unheard.code).toBe(4)
  const allowed = await gristmill([...args, '--allow', 'filter:de', '--allow', 'filter:zh'])
  expect(allowed.code).toBe(0)
  const { attempts, totals } = manifestOf(out)
  expect(totals).toMatchObject({ rowsIn: 2700, rowsOut: 1500, removed: 1200 })
  expect(attempts.map(({ outcome, tasksRun }) => [outcome, tasksRun])).toEqual([
    ['failed', 1],
    ['failed', 0],
    ['done', 2],
  ])
  const groups = metricsOf(out).stages[0]!.steps.find(({ step }) => step === 'filter')!.groups
  expect(groups).toEqual([{ column: 'lang', value: 'zh', rowsIn: 1200, removed: 1200 }])
})

test('the whole step may be allowed, and a step the pipeline has not is a slip', async () => {
  const root = testFolder('guard')
  corpus(root, { en: 10, zh: 1200 })
  const args = ['run', pipelineOf(root, [SPACES]), '--out', join(root, 'run'), '--workers', '1']
  const slip = await gristmill([...args, '--allow', 'filtr'])
  expect(slip).toMatchObject({ code: 2, stderr: expect.stringContaining('did you mean filter?') as string })
  expect((await gristmill([...args, '--allow', 'filter'])).code).toBe(0)
})

test('guard: off lets a step pass, also after it stopped a run', async () => {
  const root = testFolder('guard')
  corpus(root, { en: 10, zh: 1200 })
  const out = join(root, 'run')
  const off = pipelineOf(root, [{ filter: { expr: SPACES.filter, guard: 'off' } }], 'off.yaml')
  const on = pipelineOf(root, [{ filter: { expr: SPACES.filter } }], 'off.yaml.json')
  expect((await gristmill(['run', on, '--out', out, '--workers', '1', '--set', 'name=x'])).code).toBe(4)
  expect((await gristmill(['run', off, '--out', out, '--workers', '1', '--set', 'name=x'])).code).toBe(0)
  expect(manifestOf(out).attempts.at(-1)).toMatchObject({ outcome: 'done', tasksRun: 0, tasksSkipped: 1 })
  const wrong = pipelineOf(root, [{ filter: { expr: SPACES.filter, guard: 'never' } }], 'wrong.yaml')
  const refused = await gristmill(['run', wrong, '--out', join(root, 'other')])
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('steps[0].filter.guard') as string })
})

test('fewer than a thousand rows, nulls, and a step that sets the column itself are not judged', async () => {
  const root = testFolder('guard')
  corpus(root, { en: 1500, zh: 999 })
  const run = (steps: readonly unknown[], out: string): ReturnType<typeof gristmill> =>
    gristmill(['run', pipelineOf(root, steps), '--out', join(root, out), '--workers', '1'])
  expect((await run([SPACES], 'few')).code).toBe(0)
  corpus(root, { en: 1500, zh: 1200 }, { lang: null })
  expect((await run([SPACES], 'nulls')).code).toBe(0)
  corpus(root, { en: 1500, zh: 1200 })
  // What comes in as zh goes out as a value of its own making: the filter sees what the map made.
  const renamed = await run([{ map: { lang: "'all'" } }, SPACES], 'renamed')
  expect(renamed.code).toBe(0)
})

test('a deduplication that empties a source stops the run, though the next stage finds it', async () => {
  const root = testFolder('guard')
  const rows = Array.from({ length: 1300 }, (_, n) => ({ text: n < 1250 ? 'again' : `${n}`, source: 'feed' }))
  place(join(root, 'data/a.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  const args = ['run', pipelineOf(root, ['exact-dedup', { shuffle: { seed: 1 } }]), '--out', join(root, 'run')]
  const { code, stderr } = await gristmill([...args, '--workers', '2'])
  expect(code).toBe(4)
  expect(stderr).toContain('exact-dedup removed 1,249 of 1,300 rows (96.1 %) with source feed')
  expect((await gristmill([...args, '--allow', 'exact-dedup:feed'])).code).toBe(0)
})

test('counts of many tasks are one sum, whatever the number of workers', async () => {
  const root = testFolder('guard')
  const text = (n: number): string => JSON.stringify({ text: `没有空格${n}`.repeat(300), lang: 'zh' })
  for (const part of [0, 1, 2]) {
    const lines = Array.from({ length: 400 }, (_, n) => `${text(part * 400 + n)}\n`).join('')
    place(join(root, `data/${part}.jsonl`), lines)
  }
  for (const workers of ['1', '2']) {
    const out = join(root, `run-${workers}`)
    const args = ['run', pipelineOf(root, [SPACES]), '--out', out, '--workers', workers]
    expect(await gristmill(args)).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('1,200 of 1,200') as string,
    })
  }
})
