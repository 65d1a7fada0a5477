/**
 * `diff` against a comparison of two maps: over generated data and changed recipes, and over runs whose inputs
 * are not the same.
 */
import fc from 'fast-check'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type * as Facade from '../src/index.js'
import type { Rule } from '../src/kernels/removed-diff.js'
import { gristmill, pipelineFile, testFolder } from './command.js'
import { place } from './corpora.js'

const BUILD = '../dist/index.js'
const { diffRuns, loadPipeline, runPipeline } = (await import(BUILD)) as typeof Facade

const root = testFolder('diff')

const lines = (rows: readonly object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('')

interface Recipe {
  readonly shortest: number
  readonly highest: number
  /** What becomes of rows that hold an address, and of rows without a text. */
  readonly address?: 'mask' | 'drop' | 'route'
  readonly onMissing?: 'quarantine' | 'empty'
}

const ADDRESS = 'ab@whalers.org'

async function run(folder: string, recipe: Recipe, out: string): Promise<string> {
  const { shortest, highest, address, onMissing = 'quarantine' } = recipe
  const pii = address === undefined ? [] : [{ pii: { kinds: ['email'], action: address } }]
  const filters = [{ filter: `length(text) >= ${shortest}` }, { filter: `score < ${highest}` }]
  const steps = [filters[0], ...pii, filters[1], { shuffle: { seed: 1 } }]
  const source = { paths: 'data', maxBadShare: 1, onMissing }
  const file = pipelineFile(folder, { source, steps, sink: 'jsonl' }, `${out}.json`)
  await runPipeline(await loadPipeline(file), { out: join(folder, out), workers: 1 })
  return join(folder, out)
}

interface Row {
  readonly text?: string | undefined
  readonly score: number
}

/** How a row leaves a run, by hand; undefined when it stays. */
function ruleOf({ text, score }: Row, recipe: Recipe): Rule | undefined {
  const { shortest, highest, address, onMissing = 'quarantine' } = recipe
  const removed = (step: string, rule: string): Rule => ({ outcome: 'removed', step, rule })
  if (text === undefined && onMissing === 'quarantine')
    return { outcome: 'quarantined', step: 'quarantine', rule: 'text-missing' }
  if ((text ?? '').length < shortest) return removed('filter', `length(text) >= ${shortest}`)
  if (text?.includes(ADDRESS)) {
    if (address === 'drop') return removed('pii', 'email')
    if (address === 'route') return { outcome: 'routed', step: 'pii', rule: 'email' }
  }
  return score < highest ? undefined : removed('filter-2', `score < ${highest}`)
}

/** What is to be shown of a row as a sample. */
function shownOf(row: Row, recipes: readonly [Recipe, Recipe], shownBy: Recipe): string | undefined {
  if (row.text === undefined) return shownBy.onMissing === 'empty' ? '' : undefined
  if (!row.text.includes(ADDRESS) || recipes.every(({ address }) => address === undefined)) return row.text
  if (recipes.some(({ address }) => address === 'route')) return undefined
  return row.text.replace(ADDRESS, '<EMAIL>')
}

const recipe = fc.record(
  {
    shortest: fc.integer({ min: 0, max: 4 }),
    highest: fc.integer({ min: 2, max: 6 }),
    address: fc.constantFrom('mask' as const, 'drop' as const, 'route' as const, 'route' as const),
    onMissing: fc.constantFrom('quarantine' as const, 'empty' as const),
  },
  { requiredKeys: ['shortest', 'highest'] },
)
const text = fc.oneof(
  fc.stringMatching(/^[a-c]{0,4}$/u),
  fc.stringMatching(/^[a-c]{0,4}$/u).map((start) => `${start} ${ADDRESS}`),
  fc.constant(undefined),
)
/** The first row has a text, so that the column is known. */
const rows = fc
  .array(fc.record({ text, score: fc.integer({ min: 0, max: 6 }) }), { minLength: 1, maxLength: 40 })
  .map((some): readonly Row[] => [{ text: 'abc', score: 1 }, ...some])

let cases = 0

test('every pair of fates has its rows, as a comparison of two maps gives them, and no routed text is shown', async () => {
  await fc.assert(
    fc.asyncProperty(rows, recipe, recipe, async (data, a, b) => {
      const folder = join(root, String((cases += 1)))
      place(join(folder, 'data/x.jsonl'), lines(data))
      const diff = await diffRuns(await run(folder, a, 'a'), await run(folder, b, 'b'), { samples: 100 })
      const expected = new Map<string, number>()
      const moves = new Map<string, number>()
      const count = (map: Map<string, number>, key: string): unknown => map.set(key, (map.get(key) ?? 0) + 1)
      for (const row of data) {
        const [before, after] = [ruleOf(row, a), ruleOf(row, b)]
        if (before === undefined && after === undefined) continue
        count(expected, JSON.stringify([changeOf(before, after), before, after]))
        count(moves, `${before?.outcome ?? 'kept'} ${after?.outcome ?? 'kept'}`)
      }
      const inOrder = (rule: Rule | undefined): Rule | undefined =>
        rule && { outcome: rule.outcome, step: rule.step, rule: rule.rule }
      const found = diff.changes.map((one): [string, number] => [
        JSON.stringify([one.change, inOrder(one.before), inOrder(one.after)]),
        one.rows,
      ])
      expect(new Map(found)).toEqual(expected)
      expect(new Map(diff.moves.map((move) => [`${move.before} ${move.after}`, move.rows]))).toEqual(moves)
      for (const { change, after, rows: ofChange, samples } of diff.changes) {
        expect(samples).toHaveLength(change === 'same' ? 0 : ofChange)
        for (const { position, text: shown } of samples) {
          const row = JSON.parse(lines(data).slice(position).split('\n')[0]!) as Row
          expect(shown).toBe(shownOf(row, [a, b], after ? b : a))
        }
      }
    }),
    { numRuns: 12 },
  )
}, 120_000)

function changeOf(before: Rule | undefined, after: Rule | undefined): string {
  if (before === undefined) return after!.outcome === 'routed' ? 'routed' : 'removed'
  if (after === undefined) return 'returned'
  return JSON.stringify(before) === JSON.stringify(after) ? 'same' : 'moved'
}

test('routed rows of a run that was handed on without them count as kept, and no text is shown', async () => {
  const folder = testFolder('diff')
  const rowsOf = (texts: readonly string[]): string => lines(texts.map((text) => ({ text, score: 1 })))
  place(join(folder, 'data/a.jsonl'), rowsOf(['aa', 'aaaa', `aaaa ${ADDRESS}`, `bbbb ${ADDRESS}`]))
  const before = await run(folder, { shortest: 18, highest: 9, address: 'drop' }, 'a')
  const after = await run(folder, { shortest: 3, highest: 9, address: 'route' }, 'b')
  expect((await diffRuns(before, after)).moves).toEqual([
    { before: 'removed', after: 'kept', rows: 1 },
    { before: 'removed', after: 'removed', rows: 1 },
    { before: 'removed', after: 'routed', rows: 2 },
  ])
  const { stdout } = await gristmill(['diff', before, after])
  expect(stdout).toMatch(/from ↓ to → +kept +removed +routed\n +removed +1 +1 +2\n/u)
  expect(stdout).toContain('pii: email → pii: email, routed')
  expect(stdout).not.toContain('whalers')

  rmSync(join(after, 'routed'), { recursive: true })
  const handedOn = await diffRuns(before, after)
  expect(handedOn.moves).toEqual([
    { before: 'removed', after: 'kept', rows: 3 },
    { before: 'removed', after: 'removed', rows: 1 },
  ])
  expect(handedOn.notes[0]).toBe(
    `${after} routed 2 rows to routed/pii/00000.parquet, which is not at hand: they count as kept, and no texts are shown`,
  )
  expect(JSON.stringify(handedOn.changes)).not.toContain('"text"')
})

describe('runs that are not over the same rows', () => {
  test('inputs of one run alone are told apart, quarantine counts as a rule', async () => {
    const folder = testFolder('diff')
    place(join(folder, 'data/a.jsonl'), lines([{ text: 'aa', score: 1 }]))
    const before = await run(folder, { shortest: 3, highest: 5 }, 'a')
    place(join(folder, 'data/b.jsonl'), `${lines([{ text: 'b', score: 1 }])}{\n`)
    const after = await run(folder, { shortest: 3, highest: 5 }, 'b')
    const { changes, inputs } = await diffRuns(before, after)
    expect(inputs).toEqual({ both: 1, beforeOnly: [], afterOnly: ['data/b.jsonl'] })
    const rule = { outcome: 'removed', step: 'filter', rule: 'length(text) >= 3' }
    expect(changes).toEqual([
      { change: 'same', before: rule, after: rule, rows: 1, samples: [] },
      { change: 'elsewhere', after: rule, rows: 1, samples: [expect.objectContaining({ text: 'b' })] },
      {
        change: 'elsewhere',
        after: { outcome: 'quarantined', step: 'quarantine', rule: 'json-syntax' },
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
    expect(stdout).toContain('The runs kept the same rows, and removed the others by the same rules.')
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
