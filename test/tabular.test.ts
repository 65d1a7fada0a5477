/**
 * `missing`, `scale` and `encode` over whole runs: scikit-learn's results, the same for any cut of the input, to be
 * used again on new data.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  gristmill,
  isBalanced,
  manifestOf,
  metricsOf,
  outputsOf,
  pipelineFile,
  runWell,
  testFolder,
} from './command.js'
import { place, random, storedGzip, taskNames } from './corpora.js'
import { askOracle } from './oracle.js'

type Value = string | number | boolean | null
type TableRow = Readonly<Record<string, Value>>
type Read = Readonly<Record<string, Value | readonly number[]>>

const sink = { format: 'jsonl', compression: 'none' }
const source = { paths: ['data'], onMissing: 'empty' }
const CITIES = ['Bern', 'Zürich', 'Genève', '', '北京', 'bern', '𝒵'] as const

/** A row in which about every tenth value is missing; `rare` has values that later rows lack and the other way round. */
function tableRow(next: () => number, n: number, rare: string): TableRow {
  const some = <T extends Value>(value: T): T | null => (next() < 0.1 ? null : value)
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())
  return {
    id: `r${n}`,
    x: some(normal() * 7.3 + 21.7),
    skewed: some(Math.exp(normal() * 4)),
    whole: some(Math.floor(next() * 50) - 10),
    constant: some(0.1),
    city: some(CITIES[Math.floor(next() * CITIES.length)]!),
    rare: next() < 0.01 ? rare : 'usual',
    flag: some(next() < 0.5),
    grade: some(['low', 'middle', 'high'][Math.floor(next() * 3)]!),
  }
}

const table = (seed: number, count: number, rare: string): TableRow[] => {
  const next = random(seed)
  return Array.from({ length: count }, (_, n) => tableRow(next, n, rare))
}

/** The row with each column under several names, for a step to change each. */
const copied = (row: TableRow, copies: Readonly<Record<string, string>>): TableRow => ({
  id: row['id']!,
  ...Object.fromEntries(Object.entries(copies).map(([name, column]) => [name, row[column]!])),
})

const lines = (rows: readonly TableRow[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('')

/** The rows that a run wrote. */
function written(out: string): Read[] {
  const names = readdirSync(join(out, 'shards')).toSorted()
  const text = names.map((name) => readFileSync(join(out, 'shards', name), 'utf8')).join('')
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Read)
}

interface Fitted {
  readonly step: string
  readonly rows: number
  readonly columns: readonly (Readonly<Record<string, unknown>> & { readonly name: string })[]
}

const fittedOf = (out: string, step: string): Fitted =>
  JSON.parse(readFileSync(join(out, 'fitted', `${step}.json`), 'utf8')) as Fitted

/** Equal to 1e-12 of the larger, or of 1 where values were shifted to lie about 0. */
function close(got: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) return Array.isArray(got) && wanted.every((value, at) => close(got[at], value))
  if (typeof wanted !== 'number' || typeof got !== 'number') return got === wanted
  return Math.abs(got - wanted) <= 1e-12 * Math.max(1, Math.abs(wanted))
}

/** Every task: a column of its own name, made of one of the table. */
const TASKS = {
  mean: { column: 'x', kind: 'mean' },
  median: { column: 'skewed', kind: 'median' },
  whole_median: { column: 'whole', kind: 'median' },
  whole_mode: { column: 'whole', kind: 'most_frequent' },
  city_mode: { column: 'city', kind: 'most_frequent' },
  standard: { column: 'x', kind: 'standard' },
  skewed: { column: 'skewed', kind: 'standard' },
  whole: { column: 'whole', kind: 'standard' },
  constant: { column: 'constant', kind: 'standard' },
  range: { column: 'whole', kind: 'min-max', range: [-1, 3] },
  flat: { column: 'constant', kind: 'min-max', range: [-1, 3] },
  city: { column: 'city', kind: 'one-hot' },
  rare: { column: 'rare', kind: 'one-hot' },
  flag: { column: 'flag', kind: 'one-hot' },
  whole_hot: { column: 'whole', kind: 'one-hot' },
  grade: { column: 'grade', kind: 'ordinal' },
  rare_place: { column: 'rare', kind: 'ordinal' },
} as const satisfies Record<string, { column: string; kind: string; range?: number[] }>

const COPIES = Object.fromEntries(Object.entries(TASKS).map(([name, { column }]) => [name, column]))

const tasksOf = (kinds: readonly string[]): Record<string, string> =>
  Object.fromEntries(Object.entries(TASKS).flatMap(([name, { kind }]) => (kinds.includes(kind) ? [[name, kind]] : [])))

const STEPS = [
  { missing: { columns: tasksOf(['mean', 'median', 'most_frequent']) } },
  { scale: { columns: tasksOf(['standard', 'min-max']), range: [-1, 3] } },
  { encode: { columns: tasksOf(['one-hot', 'ordinal']), unknown: 'ignore', unknownValue: -1 } },
]

interface Answer {
  readonly parameters: Readonly<Record<string, unknown>>
  readonly train: readonly unknown[]
  readonly later: readonly unknown[]
}

function askSklearn(
  train: readonly TableRow[],
  later: readonly TableRow[],
  tasks: Readonly<Record<string, object>>,
): Record<string, Answer> {
  const columns = (rows: readonly TableRow[]): object =>
    Object.fromEntries(Object.keys(rows[0]!).map((name) => [name, rows.map((row) => row[name])]))
  return askOracle('sklearn_columns.py', { train: columns(train), later: columns(later), tasks })
}

test('parameters and rows are those of scikit-learn, on the same data and on later data', async () => {
  const root = testFolder('tabular')
  const [train, later] = [table(1, 3000, 'once'), table(2, 500, 'never')]
  place(join(root, 'data/a.jsonl'), lines(train.map((row) => copied(row, COPIES))))
  const out = join(root, 'first')
  await runWell(pipelineFile(root, { source, steps: STEPS, sink }), out)
  const answers = askSklearn(train, later, TASKS)
  const parameters = ['missing', 'scale', 'encode'].flatMap((step) => fittedOf(out, step).columns)
  for (const [name, answer] of Object.entries(answers)) {
    const found = parameters.find((column) => column.name === name)
    for (const [key, value] of Object.entries(answer.parameters)) {
      // scikit-learn has NaN at the end of ordinals, which missing values keep; we have none.
      const wanted = found!['method'] === 'ordinal' && Array.isArray(value) ? value.filter((v) => v !== null) : value
      expect({ name, key, close: close(found?.[key], wanted), got: found?.[key] }).toMatchObject({ close: true })
    }
  }
  const check = (rows: readonly Read[], part: 'train' | 'later'): void => {
    for (const [name, answer] of Object.entries(answers)) {
      const got = rows.map((row) => row[name])
      expect(got).toHaveLength(answer[part].length)
      const wrong = got.flatMap((value, at) =>
        close(value, answer[part][at]) ? [] : [{ name, at, value, wanted: answer[part][at] }],
      )
      expect(wrong.slice(0, 3)).toEqual([])
    }
  }
  check(written(out), 'train')

  // One boundary found all of them.
  const { stages } = metricsOf(out)
  expect(stages.map(({ name }) => name)).toEqual([
    'read, fit missing, fit scale, fit encode',
    'fit missing, scale, encode',
    'reread, missing, scale, encode, write',
  ])

  place(join(root, 'later/data/b.jsonl'), lines(later.map((row) => copied(row, COPIES))))
  const again = [
    { missing: { from: '../first' } },
    { scale: { from: '../first/fitted/scale.json' } },
    { encode: { from: '../first', unknown: 'ignore', unknownValue: -1 } },
  ]
  await runWell(pipelineFile(join(root, 'later'), { source, steps: again, sink }), join(root, 'later/out'))
  check(written(join(root, 'later/out')), 'later')
  expect(metricsOf(join(root, 'later/out')).stages).toHaveLength(1)
  expect(manifestOf(join(root, 'later/out')).fitted).toBeUndefined()

  const strict = pipelineFile(
    join(root, 'later'),
    { source, steps: [{ encode: { from: '../first' } }], sink },
    'b.yaml',
  )
  const stopped = await gristmill(['run', strict, '--out', join(root, 'later/strict')])
  expect(stopped.code).toBe(1)
  expect(stopped.stderr).toMatch(/column 'rare' of the row r\d+ holds "never", which is none of its categories/u)
})

test('what is found in a filled column is found beside the filling, what needs another column after it', async () => {
  const root = testFolder('tabular')
  const train = table(3, 2000, 'once')
  place(join(root, 'data/a.jsonl'), lines(train))
  const steps = [
    { missing: { columns: { x: 'median', whole: 'mean', city: { constant: 'nowhere' }, grade: 'drop' } } },
    { scale: { columns: { x: 'standard', whole: 'min-max' } } },
    { encode: { columns: { city: 'ordinal' } } },
    { scale: { columns: { city: 'min-max' } } },
  ]
  const out = join(root, 'out')
  await runWell(pipelineFile(root, { source, steps, sink }), out)
  const names = metricsOf(out).stages.map(({ name }) => name)
  expect(names.filter((name) => name.startsWith('fit'))).toEqual(['fit missing, scale, encode', 'fit scale-2'])
  // Rows that the step removes count for nothing.
  const left = train.filter(({ grade }) => grade !== null)
  const filled = left.map((row) => ({ ...row, city: row['city'] ?? 'nowhere' }))
  const answers = askSklearn(filled, filled, {
    x: { column: 'x', kind: ['median', 'standard'] },
    whole: { column: 'whole', kind: ['mean', 'min-max'] },
    city: { column: 'city', kind: ['ordinal', 'min-max'] },
  })
  const rows = written(out)
  expect(rows.map(({ id }) => id)).toEqual(left.map(({ id }) => id))
  for (const [name, { train: wanted }] of Object.entries(answers)) {
    expect(rows.findIndex((row, at) => !close(row[name], wanted[at]))).toBe(-1)
  }
  const manifest = manifestOf(out)
  expect(isBalanced(manifest)).toBe(true)
  expect(manifest.totals.removed).toBe(train.length - left.length)
  expect(fittedOf(out, 'missing').rows).toBe(left.length)
  const verified = await gristmill(['verify', out])
  expect(verified.code).toBe(0)

  const gone = train.find(({ grade }) => grade === null)!
  const told = await gristmill(['why', out, String(gone['id'])])
  expect(told.stdout).toMatch(/missing\W+removed[^]*grade/u)
  const kept = await gristmill(['why', out, String(left[0]!['id'])])
  expect(kept.stdout).toMatch(/encode\W+kept/u)
})

test('neither workers nor the cut into tasks and files make a difference, and more inputs are fitted anew', async () => {
  const root = testFolder('tabular')
  const rows = table(4, 1200, 'once')
  // Text that fills a file up to where it is a task of its own.
  const padded = rows.map((row) => ({ ...row, text: 'x'.repeat(11_000) }))
  const steps = [
    { drop: 'text' },
    { missing: { columns: { x: 'mean', skewed: 'median', city: 'most_frequent' } } },
    { scale: { columns: { x: 'standard', skewed: 'standard', whole: 'min-max' } } },
    { encode: { columns: { city: 'one-hot', rare: 'ordinal' } } },
  ]
  const file = pipelineFile(root, { source, steps, sink })
  const names = taskNames('data', 3, '.jsonl.gz')
  for (const [at, name] of names.slice(0, 2).entries()) {
    place(join(root, name), storedGzip(Buffer.from(lines(padded.slice(at * 400, at * 400 + 400)))))
  }
  const grown = join(root, 'grown')
  await runWell(file, grown, ['--workers', '2'])
  const two = outputsOf(grown, ['fitted'])
  place(join(root, names[2]!), storedGzip(Buffer.from(lines(padded.slice(800)))))
  await runWell(file, grown, ['--workers', '2'])
  expect(outputsOf(grown, ['fitted'])).not.toEqual(two)
  expect(manifestOf(grown).attempts.at(-1)!.tasksSkipped).toBe(2)
  const fresh = join(root, 'fresh')
  await runWell(file, fresh, ['--workers', '1', '--memory', '512MiB'])
  expect(outputsOf(fresh)).toEqual(outputsOf(grown))
  expect(Object.keys(outputsOf(fresh, ['fitted']))).toHaveLength(3)

  // All rows in one file, in another order.
  place(join(root, 'whole/data/a.jsonl'), lines(padded.toReversed()))
  const whole = pipelineFile(join(root, 'whole'), { source, steps, sink })
  await runWell(whole, join(root, 'whole/out'))
  expect(outputsOf(join(root, 'whole/out'), ['fitted'])).toEqual(outputsOf(fresh, ['fitted']))
})

test.each([
  ['an empty input', [], 0],
  ['a column without a value', [{ x: null }, { x: null }], 1],
])('%s', async (_, rows: readonly TableRow[], code) => {
  const root = testFolder('tabular')
  place(join(root, 'data/a.jsonl'), lines(rows))
  const steps = [{ missing: { columns: { x: 'median' } } }, { scale: { columns: { x: 'standard' } } }]
  const types = { x: 'float64' }
  const file = pipelineFile(root, { source: { ...source, types }, steps, sink })
  const ended = await gristmill(['run', file, '--out', join(root, 'out')])
  expect(ended.code).toBe(code)
  if (code === 0) return
  expect(ended.stderr).toContain("column 'x' cannot be fitted: no row has a value that the others could get")
  const scaled = pipelineFile(root, { source: { ...source, types }, steps: steps.slice(1), sink }, 'scaled.yaml')
  await runWell(scaled, join(root, 'scaled'))
  expect(written(join(root, 'scaled')).map(({ x }) => x)).toEqual([null, null])
})
