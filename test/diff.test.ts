/**
 * `diff` against a comparison of two maps: over generated data and changed recipes, and over runs whose inputs
 * are not the same.
 */
import fc from 'fast-check'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type * as Facade from '../src/index.js'
import { gristmill, pipelineFile, testFolder } from './command.js'
import { place } from './corpora.js'

const BUILD = '../dist/index.js'
const { diffRuns, loadPipeline, runPipeline } = (await import(BUILD)) as typeof Facade

const root = testFolder('diff')

const lines = (rows: readonly object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('')

interface Recipe {
  readonly shortest: number
  readonly highest: number
}

async function run(folder: string, { shortest, highest }: Recipe, out: string): Promise<string> {
  const steps = [{ filter: `length(text) >= ${shortest}` }, { filter: `score < ${highest}` }, { shuffle: { seed: 1 } }]
  const file = pipelineFile(folder, { source: { paths: 'data', maxBadShare: 1 }, steps, sink: 'jsonl' }, `${out}.json`)
  await runPipeline(await loadPipeline(file), { out: join(folder, out), workers: 1 })
  return join(folder, out)
}

/** The rule that removes a row, by hand. */
function ruleOf({ text, score }: { text: string; score: number }, { shortest, highest }: Recipe): string | undefined {
  if (text.length < shortest) return `filter: length(text) >= ${shortest}`
  return score < highest ? undefined : `filter-2: score < ${highest}`
}

const recipe = fc.record({ shortest: fc.integer({ min: 0, max: 4 }), highest: fc.integer({ min: 0, max: 5 }) })
const rows = fc.array(fc.record({ text: fc.stringMatching(/^[a-c]{0,4}$/u), score: fc.integer({ min: 0, max: 5 }) }), {
  minLength: 1,
  maxLength: 25,
})

let cases = 0

test('every kind of change has the rows that a comparison of two maps gives it', async () => {
  await fc.assert(
    fc.asyncProperty(rows, recipe, recipe, async (data, a, b) => {
      const folder = join(root, String((cases += 1)))
      place(join(folder, 'data/x.jsonl'), lines(data))
      const diff = await diffRuns(await run(folder, a, 'a'), await run(folder, b, 'b'), { samples: 100 })
      const expected = new Map<string, number>()
      for (const row of data) {
        const [before, after] = [ruleOf(row, a), ruleOf(row, b)]
        if (before === undefined && after === undefined) continue
        const kind =
          before === undefined ? 'removed' : after === undefined ? 'returned' : before === after ? 'same' : 'moved'
        const key = JSON.stringify([kind, before, after])
        expected.set(key, (expected.get(key) ?? 0) + 1)
      }
      const name = (rule: { step: string; rule: string } | undefined): string | undefined =>
        rule && `${rule.step}: ${rule.rule}`
      const found = diff.changes.map((one): [string, number] => [
        JSON.stringify([one.change, name(one.before), name(one.after)]),
        one.rows,
      ])
      expect(new Map(found)).toEqual(expected)
      for (const { change, rows: count, samples } of diff.changes) {
        expect(samples).toHaveLength(change === 'same' ? 0 : count)
        for (const { position, text } of samples) {
          const at = lines(data).slice(position).split('\n')[0]!
          expect((JSON.parse(at) as { text: string }).text).toBe(text)
        }
      }
    }),
    { numRuns: 15 },
  )
}, 120_000)

describe('runs that are not over the same rows', () => {
  test('inputs of one run alone are told apart, quarantine counts as a rule', async () => {
    const folder = testFolder('diff')
    place(join(folder, 'data/a.jsonl'), lines([{ text: 'aa', score: 1 }]))
    const before = await run(folder, { shortest: 3, highest: 5 }, 'a')
    place(join(folder, 'data/b.jsonl'), `${lines([{ text: 'b', score: 1 }])}{\n`)
    const after = await run(folder, { shortest: 3, highest: 5 }, 'b')
    const { changes, inputs } = await diffRuns(before, after)
    expect(inputs).toEqual({ both: 1, beforeOnly: [], afterOnly: ['data/b.jsonl'] })
    const rule = { step: 'filter', rule: 'length(text) >= 3' }
    expect(changes).toEqual([
      { change: 'same', before: rule, after: rule, rows: 1, samples: [] },
      { change: 'elsewhere', after: rule, rows: 1, samples: [expect.objectContaining({ text: 'b' })] },
      {
        change: 'elsewhere',
        after: { step: 'quarantine', rule: 'json-syntax' },
        rows: 1,
        samples: [{ file: 'data/b.jsonl', position: lines([{ text: 'b', score: 1 }]).length }],
      },
    ])
  })

  test('the same run twice has nothing to tell', async () => {
    const folder = testFolder('diff')
    place(
      join(folder, 'data/a.jsonl'),
      lines([
        { text: 'aa', score: 1 },
        { text: 'aaaa', score: 1 },
      ]),
    )
    const out = await run(folder, { shortest: 3, highest: 5 }, 'a')
    const { stdout, code } = await gristmill(['diff', out, out])
    expect(code).toBe(0)
    expect(stdout).toContain('The runs removed the same rows by the same rules.')
    expect((await gristmill(['diff', out, join(folder, 'nothing')])).code).toBe(2)
  })
})

test('the command shows what was removed and brought back, with samples', async () => {
  const folder = testFolder('diff')
  place(
    join(folder, 'data/a.jsonl'),
    lines(['a', 'bb', 'ccc'].map((text, score) => ({ id: `d${score}`, text, score }))),
  )
  const before = await run(folder, { shortest: 3, highest: 9 }, 'a')
  const after = await run(folder, { shortest: 0, highest: 2 }, 'b')
  const { stdout } = await gristmill(['diff', before, after, '--samples', '1'])
  expect(stdout).toMatch(/newly removed: 1\n +1 +filter-2: score < 2\n +d2 +data\/a\.jsonl:\d+ +ccc\n/u)
  expect(stdout).toMatch(/brought back: 2\n +2 +filter: length\(text\) >= 3\n +d\d +data\/a\.jsonl:\d+ +\w+\n/u)
  const json = await gristmill(['diff', before, after, '--json'])
  expect(JSON.parse(json.stdout)).toMatchObject({ event: 'diff', before: { totals: { rowsOut: 1 } } })
})
