/**
 * `against`: new data is compared with the rows that earlier runs kept, and those always stay.
 */
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { gristmill, manifestOf, outputsOf, pipelineFile, runWell, testFolder } from './command.js'
import { manyTasks, place } from './corpora.js'
import {
  decidedIn,
  type Document,
  jaccard,
  perturbed,
  type Removal,
  shinglesOf,
  similarPairs,
} from './near-duplicates.js'
import { oracle } from './oracle.js'

const sink = { format: 'jsonl', compression: 'none' }

/** A run over documents, in a folder of its own below `root`; its run directory is `NAME/out`. */
async function runOver(
  root: string,
  name: string,
  { documents, steps, args = [] }: { documents: readonly Document[]; steps: readonly object[]; args?: string[] },
): Promise<{ kept: readonly string[]; removed: readonly Removal[]; out: string }> {
  const folder = join(root, name)
  place(join(folder, 'in/a.jsonl'), documents.map((document) => `${JSON.stringify(document)}\n`).join(''))
  const out = join(folder, 'out')
  await runWell(pipelineFile(folder, { source: { paths: ['in'] }, steps, sink }), out, args)
  const { kept, removed } = decidedIn(out)
  return { kept: kept.map(({ id }) => id), removed, out }
}

const texts = (entries: Readonly<Record<string, string>>): Document[] =>
  Object.entries(entries).map(([id, text]) => ({ id, text }))

test('rows that equal one of an earlier run go, whichever row the step would keep', async () => {
  const root = testFolder('against')
  const first = await runOver(root, 'first', {
    documents: texts({ a1: 'corn', a2: 'flour', a3: 'corn' }),
    steps: [{ 'exact-dedup': { keep: 'last' } }],
  })
  expect(first.kept).toEqual(['a2', 'a3'])
  const against = ['../first/out']
  const second = await runOver(root, 'second', {
    documents: texts({ b1: 'corn', b2: 'bread', b3: 'bread', b4: 'flour' }),
    steps: [{ 'exact-dedup': { keep: 'last', against } }],
  })
  expect(second.kept).toEqual(['b3'])
  const places = second.removed.map(({ id, keeper, keeper_file: file, keeper_run: run }) => [id, keeper, file, run])
  expect(Object.fromEntries(places.map(([id, ...place]) => [id, place]))).toEqual({
    b1: ['a3', 'in/a.jsonl', '../first/out'],
    b2: ['b3', 'in/a.jsonl', null],
    b4: ['a2', 'in/a.jsonl', '../first/out'],
  })
  expect(manifestOf(second.out).against).toMatchObject([{ step: 'exact-dedup', run: '../first/out', rows: 2 }])
  // The second run's index has its own rows alone, so the third names both.
  const third = await runOver(root, 'third', {
    documents: texts({ c1: 'bread', c2: 'corn', c3: 'oven' }),
    steps: [{ 'exact-dedup': { against: ['../second/out', '../first/out'] } }],
  })
  expect(third.kept).toEqual(['c3'])
  expect(third.removed.map(({ id, keeper, keeper_run: run }) => [id, keeper, run])).toEqual([
    ['c1', 'b3', '../second/out'],
    ['c2', 'a3', '../first/out'],
  ])
})

test('near-duplicates of an earlier run go, each with a keeper that is as similar as stated', async () => {
  const root = testFolder('against')
  const documents = perturbed().slice(0, 2400)
  const half = documents.length / 2
  // Every other document, so that copies of a passage are on both sides.
  const [before, after] = [0, 1].map((side) => documents.filter((_, at) => at % 2 === side)) as [Document[], Document[]]
  expect(before.length).toBe(half)
  const first = await runOver(root, 'first', { documents: before, steps: [{ 'minhash-dedup': {} }] })
  const against = ['../first/out']
  const second = await runOver(root, 'second', { documents: after, steps: [{ 'minhash-dedup': { against } }] })
  const sets = new Map(documents.map(({ id, text }) => [id, shinglesOf(text)]))
  const [known, stays] = [new Set(first.kept), new Set(second.kept)]
  expect([...second.kept, ...second.removed.map(({ id }) => id)].toSorted()).toEqual(
    after.map(({ id }) => id).toSorted(),
  )
  for (const { id, keeper, keeper_run: run, value } of second.removed) {
    expect((run === null ? stays : known).has(keeper), `${keeper}, the keeper of ${id}, is gone`).toBe(true)
    expect(value).toBe(jaccard(sets.get(id)!, sets.get(keeper)!))
    expect(value).toBeGreaterThanOrEqual(0.8)
  }
  expect(second.removed.filter(({ keeper_run: run }) => run === '../first/out').length).toBeGreaterThan(half * 0.2)
  // What counting would have removed: rows as similar as that to a row that stayed before.
  const near = new Set<string>()
  for (const { a, b, similarity } of similarPairs(documents.map(({ id }) => sets.get(id)!))) {
    const [even, odd] = a % 2 === 0 ? [a, b] : [b, a]
    if (similarity >= 0.85 && odd % 2 === 1 && known.has(documents[even]!.id)) near.add(documents[odd]!.id)
  }
  const found = [...near].filter((id) => !stays.has(id)).length
  expect(near.size).toBeGreaterThan(200)
  expect(found / near.size).toBeGreaterThanOrEqual(0.95)

  // pyarrow reads the index: the rows that stayed, with their texts.
  const files = manifestOf(first.out).indexes.flatMap((index) => index.files.map(({ name }) => join(first.out, name)))
  const rows = oracle<{ rows: Document[] }[]>('read_rows.py', files).flatMap((file) => file.rows)
  expect(rows.map(({ id }) => id)).toEqual(first.kept)
  expect(rows.map(({ text }) => text)).toEqual(first.kept.map((id) => documents.find((one) => one.id === id)!.text))
}, 60_000)

test('a chain of similar rows through new data removes no row of the earlier run', async () => {
  const root = testFolder('against')
  const words = Array.from(
    { length: 200 },
    (_, n) => `w${String.fromCodePoint(97 + (n % 26), 97 + Math.floor(n / 26))}`,
  )
  const change = (from: number, to: number): string =>
    words.map((word, at) => (at >= from && at < to ? `${word}x` : word)).join(' ')
  // Both ends are known and less alike than the threshold; the new row in the middle is near to both.
  await runOver(root, 'first', {
    documents: texts({ left: change(0, 12), right: change(188, 200) }),
    steps: [{ 'minhash-dedup': {} }],
  })
  const { kept, removed } = await runOver(root, 'second', {
    documents: texts({ middle: words.join(' '), other: 'something else entirely, five words and more' }),
    steps: [{ 'minhash-dedup': { cluster: 'transitive', against: ['../first/out'] } }],
  })
  expect(kept).toEqual(['other'])
  expect(removed.map(({ id, keeper, cluster_size: size }) => [id, keeper, size])).toEqual([['middle', 'left', 2]])
})

test('workers and memory change nothing, and an index that comes to hold more is looked at again', async () => {
  const root = testFolder('against')
  manyTasks(join(root, 'old'), 2, { duplicates: 0.3 })
  manyTasks(join(root, 'new'), 3, { duplicates: 0.3 })
  const source = { paths: ['data'] }
  const steps = (against: readonly string[]): object[] => [
    { 'exact-dedup': { against, guard: 'off' } },
    { 'minhash-dedup': { threshold: 0.7, against, guard: 'off' } },
  ]
  const old = pipelineFile(join(root, 'old'), { source, steps: steps([]), sink })
  for (const [name, workers] of [
    ['out', '1'],
    ['again', '3'],
  ] as const)
    await runWell(old, join(root, 'old', name), ['--workers', workers])
  expect(outputsOf(join(root, 'old/again'))).toEqual(outputsOf(join(root, 'old/out')))
  const indexes = Object.keys(outputsOf(join(root, 'old/out'), ['index']))
  expect(indexes.filter((name) => name.startsWith('index/exact-dedup/'))).toHaveLength(2)
  expect(indexes.filter((name) => name.startsWith('index/minhash-dedup/'))).toHaveLength(2)

  const fresh = pipelineFile(join(root, 'new'), { source, steps: steps(['../old/out']), sink })
  const out = join(root, 'new/out')
  await runWell(fresh, out, ['--workers', '1'])
  await runWell(fresh, join(root, 'new/again'), ['--workers', '3', '--memory', '700MB'])
  expect(outputsOf(join(root, 'new/again'))).toEqual(outputsOf(out))
  expect(manifestOf(out).against).toHaveLength(2)
  expect((await gristmill(['verify', out])).code).toBe(0)

  const before = manifestOf(out).totals.rowsOut
  const grown = join(root, 'old/data', 'part-9999.jsonl.gz')
  cpSync(join(root, 'new', manifestOf(out).inputs.at(-1)!.path), grown)
  await runWell(old, join(root, 'old/out'))
  await runWell(fresh, out)
  expect(manifestOf(out).totals.rowsOut).toBeLessThan(before)
}, 120_000)

test('an index that does not fit, is not there or is damaged is an error that says so', async () => {
  const root = testFolder('against')
  const documents = texts({ a: 'corn', b: 'flour' })
  await runOver(root, 'first', { documents, steps: [{ 'exact-dedup': {} }] })
  await runOver(root, 'bare', { documents, steps: [{ 'exact-dedup': { index: false } }] })
  expect(existsSync(join(root, 'bare/out/index'))).toBe(false)
  // It would hold texts in which private data is still to be masked.
  const masked = await runOver(root, 'masked', { documents, steps: [{ 'minhash-dedup': {} }, { pii: {} }] })
  expect(manifestOf(masked.out).indexes).toEqual([])
  const refused = async (step: object, message: RegExp): Promise<void> =>
    expect(runOver(root, 'second', { documents, steps: [step] })).rejects.toThrow(message)
  await refused(
    { 'exact-dedup': { against: ['../nothing'] } },
    /GM_CONFIG.*\.\.\/nothing, which holds no finished run/su,
  )
  await refused({ 'exact-dedup': { against: ['../bare/out'] } }, /GM_CONFIG.*it has none/su)
  await refused(
    { 'exact-dedup': { against: ['../first/out'], normalize: 'datatrove' } },
    /GM_CONFIG.*no index for .*it has exact-dedup \{"on":\["text"\],"normalize":"none"\}/su,
  )
  await refused({ 'minhash-dedup': { against: ['../first/out'] } }, /GM_CONFIG.*no index for/su)
  const itself = runOver(root, 'first', { documents, steps: [{ 'exact-dedup': { against: ['./out'] } }] })
  await expect(itself).rejects.toThrow(/GM_CONFIG.*\.\/out, which is the run directory itself/su)

  const file = join(root, 'first/out/index/exact-dedup/00000.parquet')
  const whole = readFileSync(file)
  writeFileSync(file, Buffer.concat([whole.subarray(0, 4), Buffer.alloc(whole.length - 4)]))
  await refused({ 'exact-dedup': { against: ['../first/out'] } }, /GM_FORMAT.*00000\.parquet/su)
  writeFileSync(file, whole.subarray(1))
  await refused({ 'exact-dedup': { against: ['../first/out'] } }, /GM_FORMAT.*has \d+ bytes, not the \d+/su)
  rmSync(file)
  await refused({ 'exact-dedup': { against: ['../first/out'] } }, /GM_FORMAT.*is missing/su)
}, 60_000)
