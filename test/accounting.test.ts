/**
 * Every row that comes in is found again exactly once: kept, removed with a record, quarantined or left out by
 * request. Over small generated inputs and chains of steps drawn at random, through the façade of the build.
 */
import fc from 'fast-check'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type * as Facade from '../src/index.js'
import { isBalanced, outputsOf, pipelineFile, quarantineOf } from './command.js'
import { place } from './corpora.js'
import { testFolder } from './folder.js'
import { oracle } from './oracle.js'

const BUILD = '../dist/index.js'
const { loadPipeline, runPipeline } = (await import(BUILD)) as typeof Facade

const root = testFolder('accounting')

/** A record: a document, or one of the ways in which records are bad. */
const record = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      text: fc.constantFrom('a', 'bb', 'ccc', 'dddd', 'ee ee', ''),
      score: fc.integer({ min: 0, max: 9 }),
    }),
  },
  { weight: 1, arbitrary: fc.constantFrom('{', '[]', '{"id":"x"}', '{"id":"x","text":null}', '{"id":"x","text":7}') },
)
/** The first record has every column: an expression over a column that no record has is refused. */
const inputs = fc
  .array(fc.array(record, { maxLength: 12 }), { minLength: 1, maxLength: 4 })
  .map(([first = [], ...others]): (string | object)[][] => [[{ text: 'first', score: 1 }, ...first], ...others])

const step = fc.oneof(
  fc.constantFrom<unknown>(
    { filter: 'length(text) >= 2' },
    { filter: 'score < 7' },
    { normalize: { unicode: 'NFC' } },
    { 'exact-dedup': { keep: 'last' } },
    { 'exact-dedup': { keep: 'longest' } },
    { 'exact-dedup': { keep: { highest: 'score' } } },
    { 'exact-dedup': { on: ['text', 'score'] } },
    { 'minhash-dedup': { size: 1, threshold: 0.5 } },
    { 'minhash-dedup': { shingle: 'char', size: 2, keep: { highest: 'score' }, cluster: 'transitive' } },
    { sample: { fraction: 0.7, seed: 3 } },
    { sample: { count: 5, seed: 4 } },
    'exact-dedup',
    'shuffle',
  ),
)
const chain = fc.array(step, { maxLength: 5 })

interface Case {
  readonly file: string
  readonly out: string
  /** Identities of all records: path and byte offset. */
  readonly all: string[]
}

let cases = 0

function write(files: readonly (readonly unknown[])[], steps: readonly unknown[]): Case {
  const folder = join(root, String((cases += 1)))
  const all: string[] = []
  for (const [index, records] of files.entries()) {
    const name = `in/${index}.jsonl`
    let offset = 0
    const lines = records.map((value, row) => {
      const line = typeof value === 'string' ? value : JSON.stringify({ id: `${index}-${row}`, ...(value as object) })
      all.push(`${name}:${offset}`)
      offset += Buffer.byteLength(line) + 1
      return `${line}\n`
    })
    place(join(folder, name), lines.join(''))
  }
  const pipeline = { source: { paths: ['in'], maxBadShare: 1 }, steps, sink: { format: 'jsonl', compression: 'none' } }
  return { file: pipelineFile(folder, pipeline), out: join(folder, 'out'), all: all.toSorted() }
}

/** Rows of all files in a folder of a run, as pyarrow reads them. */
function rowsOf(out: string, folder: string): Record<string, unknown>[] {
  if (!existsSync(join(out, folder))) return []
  const files = readdirSync(join(out, folder)).toSorted()
  const shards = oracle<{ rows: Record<string, unknown>[] }[]>(
    'read_rows.py',
    files.map((name) => join(out, folder, name)),
  )
  return shards.flatMap(({ rows }) => rows)
}

test('kept, removed and quarantined rows together are the input, whatever the steps', async () => {
  await fc.assert(
    fc.asyncProperty(inputs, chain, async (files, steps) => {
      const { file, out, all } = write(files, steps)
      const pipeline = await loadPipeline(file)
      const { manifest, metrics } = await runPipeline(pipeline, { out, workers: 1 })
      expect(isBalanced(manifest), JSON.stringify(manifest.totals)).toBe(true)
      expect(manifest.totals).toMatchObject({ rowsIn: all.length, added: 0, pruned: 0 })

      const removed = rowsOf(out, 'removed')
      const removedAt = removed.map((row) => `${String(row['file'])}:${String(row['position'])}`)
      const badAt = quarantineOf(out).map((bad) => `${bad.file}:${bad.offset}`)
      const kept = shardIds(out)
      expect(removedAt).toHaveLength(manifest.totals.removed)
      expect(new Set(removedAt).size).toBe(removedAt.length)
      expect(badAt).toHaveLength(manifest.totals.quarantined)
      expect(kept).toHaveLength(manifest.totals.rowsOut)
      expect(metrics.removals.reduce((sum, { rows }) => sum + rows, 0)).toBe(removed.length)
      // Rows that are neither removed nor bad are the ones in the shards, told by their ids.
      const gone = new Set([...removedAt, ...badAt])
      const left = all.filter((at) => !gone.has(at))
      expect(kept.toSorted()).toEqual(left.map((at) => idAt(files, at)).toSorted())
      for (const row of removed) {
        expect(row['id']).toBe(idAt(files, `${String(row['file'])}:${String(row['position'])}`))
        if (row['keeper'] === null) continue
        const keeper = `${String(row['keeper_file'])}:${String(row['keeper_position'])}`
        expect(row['keeper']).toBe(idAt(files, keeper))
        expect(badAt).not.toContain(keeper)
      }
    }),
    { numRuns: 40 },
  )
}, 240_000)

test('two workers and a chain at random give the bytes of one', async () => {
  await fc.assert(
    fc.asyncProperty(inputs, chain, async (files, steps) => {
      const { file, out } = write(files, steps)
      await runPipeline(await loadPipeline(file), { out, workers: 1 })
      await runPipeline(await loadPipeline(file), { out: `${out}-2`, workers: 2, memoryBytes: 512 * 2 ** 20 })
      expect(outputsOf(`${out}-2`)).toEqual(outputsOf(out))
    }),
    { numRuns: 8 },
  )
}, 120_000)

function shardIds(out: string): string[] {
  const folder = join(out, 'shards')
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1))
    .map((line) => (JSON.parse(line) as { id: string }).id)
}

/** The id of the record at a path and offset. */
function idAt(files: readonly (readonly unknown[])[], at: string): string {
  const [name = '', position = ''] = at.split(':')
  const index = Number(/\d+/u.exec(name)![0])
  let offset = 0
  for (const [row, value] of files[index]!.entries()) {
    if (offset === Number(position)) return typeof value === 'string' ? 'x' : `${index}-${row}`
    const line = typeof value === 'string' ? value : JSON.stringify({ id: `${index}-${row}`, ...(value as object) })
    offset += Buffer.byteLength(line) + 1
  }
  throw new Error(`no record at ${at}`)
}
