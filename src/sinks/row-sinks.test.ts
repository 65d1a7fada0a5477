/** Shards of the row sinks as pyarrow reads them. The bytes' independence of batching is a property test in Rust. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import {
  Bool,
  Dictionary,
  Field,
  Int64,
  List,
  Table,
  Uint32,
  Uint64,
  Utf8,
  tableToIPC,
  vectorFromArray,
  type Vector,
} from 'apache-arrow'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { testFolder } from '../../test/folder.js'
import { oracle } from '../../test/oracle.js'
import { Batch, liveBatchBytes, type Columns } from '../kernels/batch.js'
import { sinkFormats } from './index.js'

interface Shard {
  names: string[]
  types: string[]
  rows: Record<string, unknown>[]
  groups: number[]
}

function pyarrow(paths: string[]): Shard[] {
  return oracle<Shard[]>('read_rows.py', paths)
}

interface Row {
  id: string | null
  text: string | null
  n: bigint | null
  ok: boolean | null
  meta: string | null
  tokens: number[]
}

const COLUMNS: Columns = [
  { name: 'text', type: 'string' },
  { name: 'n', type: 'int64' },
  { name: 'ok', type: 'boolean' },
  { name: 'meta', type: 'json' },
  { name: 'tokens', type: 'tokens' },
]

function batchOf(rows: readonly Row[], first: number): Batch {
  const vectors: Record<string, Vector> = {
    __file: vectorFromArray(
      rows.map(() => 'in/a.jsonl'),
      new Dictionary(new Utf8(), new Uint32()),
    ),
    __position: vectorFromArray(
      rows.map((_, i) => BigInt(first + i)),
      new Uint64(),
    ),
    id: vectorFromArray(
      rows.map((row) => row.id),
      new Utf8(),
    ),
    text: vectorFromArray(
      rows.map((row) => row.text),
      new Utf8(),
    ),
    n: vectorFromArray(
      rows.map((row) => row.n),
      new Int64(),
    ),
    ok: vectorFromArray(
      rows.map((row) => row.ok),
      new Bool(),
    ),
    meta: vectorFromArray(
      rows.map((row) => row.meta),
      new Utf8(),
    ),
    tokens: vectorFromArray(
      rows.map((row) => row.tokens),
      new List(new Field('item', new Uint32(), true)),
    ),
  }
  return Batch.fromIpc(tableToIPC(new Table(vectors), 'stream'))
}

function someRows(count: number): Row[] {
  return Array.from({ length: count }, (_, i) => ({
    id: i % 3 === 0 ? null : `row-${i}`,
    text: i % 7 === 0 ? null : `“text” ${i}\n\u0001\u2028${'词'.repeat(i % 50)}`,
    n: i % 5 === 0 ? null : 2n ** 62n + BigInt(i),
    ok: i % 2 === 0,
    meta: i % 4 === 0 ? null : `{"a": ${i}.250,\n "b": []}`,
    tokens: Array.from({ length: i % 6 }, (_, j) => i * 100 + j),
  }))
}

let folder: string
beforeEach(() => {
  folder = testFolder('sinks')
})
afterEach(() => {
  expect(liveBatchBytes()).toBe(0)
})

function write(format: string, options: Record<string, unknown>, rows: readonly Row[], batchRows: number) {
  const sink = sinkFormats.get(format)!
  using writer = sink.open(sink.options.parse(options), {
    folder,
    baseName: `${format}-${batchRows}`,
    columns: COLUMNS,
    vocabularySize: undefined,
  })
  for (let at = 0; at < rows.length; at += batchRows) {
    using batch = batchOf(rows.slice(at, at + batchRows), at)
    writer.write(batch)
  }
  return writer.finish()
}

const NAMES = ['id', 'file', 'position', 'text', 'n', 'ok', 'meta', 'tokens']

describe.each([
  ['parquet', {}, '.parquet'],
  ['arrow', {}, '.arrow'],
  ['jsonl', {}, '.jsonl.zst'],
  ['jsonl', { compression: 'gzip' }, '.jsonl.gz'],
  ['jsonl', { compression: 'none' }, '.jsonl'],
])('%s %j', (format, options, suffix) => {
  test('pyarrow reads every row back', () => {
    const rows = someRows(1000)
    const shards = write(format, { ...options, rowsPerShard: 300 }, rows, 64)
    expect(shards.map((shard) => shard.rows)).toEqual([300, 300, 300, 100])
    expect(shards.every((shard) => shard.files[0]?.suffix === suffix)).toBe(true)
    const read = pyarrow(shards.map((shard) => shard.files[0]!.path))
    expect(read.map((shard) => shard.names)).toEqual(shards.map(() => NAMES))
    const embedded = format === 'jsonl'
    const expected = rows.map((row, i) => ({
      id: row.id ?? `in/a.jsonl:${i}`,
      file: 'in/a.jsonl',
      position: i,
      text: row.text,
      n: row.n === null ? null : Number(row.n),
      ok: row.ok,
      meta: embedded && row.meta !== null ? (JSON.parse(row.meta) as unknown) : row.meta,
      tokens: row.tokens,
    }))
    expect(read.flatMap((shard) => shard.rows)).toEqual(expected)
    if (format === 'jsonl') return
    const ids = 'list<element: int32>'
    expect(read[0]?.types).toEqual(['string', 'string', 'uint64', 'string', 'int64', 'bool', 'string', ids])
  })

  test('the bytes are the same for any batches', () => {
    const rows = someRows(500)
    const checksums = [1, 7, 500].map((batchRows) =>
      write(format, { ...options, bytesPerShard: 20_000 }, rows, batchRows).map((shard) => shard.files[0]!.checksum),
    )
    expect(checksums[0]!.length).toBeGreaterThan(1)
    expect(checksums[1]).toEqual(checksums[0])
    expect(checksums[2]).toEqual(checksums[0])
  })

  test('a writer that saw no row makes no file', () => {
    expect(write(format, options, [], 1)).toEqual([])
    expect(readdirSync(folder)).toEqual([])
  })
})

test('a Parquet row group ends by the bytes of its rows', () => {
  const rows = someRows(200).map((row) => ({ ...row, text: 'x'.repeat(1_000_000) }))
  const [shard] = write('parquet', {}, rows, 10)
  const [read] = pyarrow([shard!.files[0]!.path])
  expect(read!.groups.length).toBeGreaterThan(2)
  expect(Math.max(...read!.groups)).toBeLessThanOrEqual(68)
})

test('a folder that is not there is an I/O error that names the file', () => {
  const sink = sinkFormats.get('parquet')!
  const context = { folder: join(folder, 'gone'), baseName: 't', columns: COLUMNS, vocabularySize: undefined }
  using writer = sink.open(sink.options.parse({}), context)
  using batch = batchOf(someRows(1), 0)
  expect(() => writer.write(batch)).toThrow(/cannot create .*gone\/t\.0\.parquet/)
})
