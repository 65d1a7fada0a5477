import { stripVTControlCharacters } from 'node:util'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ordinary } from '../../test/samples/metrics.js'
import type { RunEvent } from '../observe/metrics.js'
import { paintFor } from './paint.js'
import { advance, NOTHING_YET, type ProgressState, remainingSeconds, shareDone, speed } from './progress-state.js'
import { renderBlock, renderPlain } from './progress.js'

const PLAIN = paintFor({}, false)
const COLOURED = { bold: mark, dim: mark, bad: mark, warn: mark, accent: mark }
function mark(text: string): string {
  return `\u001B[36m${text}\u001B[39m`
}

const plan: RunEvent = {
  event: 'plan',
  name: 'corpus',
  stages: [
    { name: 'read, normalize', tasks: 4 },
    { name: 'gather, tokenize, write', tasks: 0 },
  ],
  inputBytes: 100e6,
  workers: 2,
  memoryBudgetBytes: 4 * 2 ** 30,
}

function progress(stage: number, megabytes: number, seconds: number): RunEvent {
  return {
    event: 'progress',
    stage: plan.event === 'plan' ? plan.stages[stage]!.name : '',
    tasksDone: Math.floor(megabytes / 25),
    tasks: 4,
    rows: megabytes * 1000,
    bytes: megabytes * 1e6,
    totalBytes: 100e6,
    seconds,
    rssBytes: 300 * 2 ** 20,
  }
}

/** The state after events at the given seconds of the display's clock. */
function after(...events: [at: number, event: RunEvent][]): ProgressState {
  return events.reduce((state, [at, event]) => advance(state, event, at), NOTHING_YET)
}

test('tells share, speed and what is left', () => {
  const state = after([0, plan], [10, progress(0, 10, 0.5)], [12, progress(0, 50, 2.5)])
  const [stage] = state.stages
  expect([shareDone(stage!), speed(stage!), remainingSeconds(stage!)]).toEqual([0.5, 20e6, 2.5])
})

test('speed is that of the last seconds', () => {
  const events = Array.from({ length: 31 }, (_, at): [number, RunEvent] => [at, progress(0, Math.min(at, 20) * 2, at)])
  const [stage] = after([0, plan], ...events).stages
  // 40 MB were read by second 20; since then nothing, and the window sees it.
  expect(speed(stage!)).toBe(0)
  expect(remainingSeconds(stage!)).toBeUndefined()
})

test('a stage ends when the next one starts, and keeps its own time', () => {
  const state = after(
    [0, plan],
    [10, progress(0, 100, 5)],
    [12, progress(1, 10, 1)],
    [20, { event: 'done', out: 'o', exitCode: 0, metrics: ordinary }],
  )
  expect(state.stages.map(({ status, startedAt, endedAt }) => [status, startedAt, endedAt])).toEqual([
    ['finished', 5, 12],
    ['finished', 11, 20],
  ])
  expect(renderPlain(state.stages[0]!, state, 99)).toBe(
    'read, normalize: done in 7.0 s, 4 tasks, 100,000 rows, 14.3 MB/s, 300 MiB resident',
  )
})

test('draws a line a stage and one for the process', () => {
  const state = after([0, plan], [10, progress(0, 10, 0.5)], [12, progress(0, 50, 2.5)])
  expect(renderBlock(state, 12, 100, PLAIN).split('\n')).toEqual([
    '  read, normalize          ━━━━━━━━━━━╌╌╌╌╌╌╌╌╌╌╌   50 %   50.0 K rows   20.0 MB/s        ETA 2.5 s',
    '  gather, tokenize, write  waiting',
    '  2 workers · 300 MiB of 4.00 GiB',
  ])
  expect(renderPlain(state.stages[0]!, state, 12)).toBe(
    'read, normalize: 50 %, 50,000 rows, 20.0 MB/s, 2.5 s to go, 300 MiB resident',
  )
})

test('no line is wider than the terminal, whatever the width and the numbers', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 20, max: 240 }),
      fc.array(fc.tuple(fc.nat(1), fc.nat(10_000_000), fc.nat(100_000)), { maxLength: 12 }),
      (width, steps) => {
        let state = after([0, plan])
        let now = 0
        for (const [stage, megabytes, seconds] of steps)
          state = advance(state, progress(stage, megabytes, seconds), ++now)
        for (const line of renderBlock(state, now, width, COLOURED).split('\n')) {
          expect(stripVTControlCharacters(line).length).toBeLessThan(width)
          expect(line).not.toMatch(/NaN|Infinity|undefined/)
        }
      },
    ),
  )
})
