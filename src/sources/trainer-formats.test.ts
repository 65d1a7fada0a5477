/** The sources mds, webdataset, tfrecord and megatron on files that other tools wrote. */
import { statSync, truncateSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { defaults, planning } from '../../test/read-source.js'
import { changed, input, placeOf, places, read, type Row, without, writtenForTests } from '../../test/trainer-files.js'
import { formatOfPath } from './index.js'
import { mds } from './mds.js'
import { megatron } from './megatron.js'
import { parquet } from './parquet.js'
import { tfrecord } from './tfrecord.js'
import { webdataset } from './webdataset.js'

const written = writtenForTests()

/** What Python wrote, with its integers beyond 2^53 as text as well. */
function expected(rows: readonly Row[], document = 'text'): Row[] {
  return rows.map((row) => {
    const { [document]: text, ...others } = row
    return document in row ? { text, ...others } : row
  })
}

test('formats are told from names', () => {
  const names = ['a/b.mds', 'a/b.mds.zstd', 'a/index.json', 'a.tar', 'a.tar.gz', 'a.tgz', 'a.tfrecord.gz', 'a.idx']
  expect(names.map((name) => formatOfPath(name)?.name)).toEqual([
    ...Array<string>(3).fill('mds'),
    ...Array<string>(3).fill('webdataset'),
    'tfrecord',
    'megatron',
  ])
})

describe.each([1 << 20, 700])('read in chunks of %i bytes', (chunkBytes) => {
  test('MDS shards have the rows that were written, whatever their encodings and compression', async () => {
    for (const [path, rows] of Object.entries(written.mds)) {
      const outcome = await read(mds, [input(path)], { chunkBytes })
      expect(outcome.rejects, path).toEqual([])
      expect(outcome.truncated, path).toEqual([])
      expect(places(outcome.rows), path).toEqual(rows.map((_, at) => at))
      for (const [at, row] of without(outcome.rows).entries()) expect(row, path).toEqual(expectedNumbers(rows[at]!))
    }
  })

  test('WebDataset archives have a row for each key and a column for each extension', async () => {
    for (const [path, rows] of Object.entries(written.wds)) {
      const outcome = await read(webdataset, [input(path)], { chunkBytes, text: 'txt' })
      expect(outcome.rejects, path).toEqual([])
      expect(outcome.truncated, path).toEqual([])
      expect(without(outcome.rows), path).toEqual(expected(rows, 'txt'))
    }
  })

  test('TFRecord examples have a column for each feature', async () => {
    for (const [path, rows] of Object.entries(written.tfrecords)) {
      const compression = path.startsWith('zipped') ? 'gzip' : 'auto'
      const outcome = await read(tfrecord, [input(path)], { chunkBytes, format: { compression } })
      expect(outcome.rejects, path).toEqual([])
      expect(without(outcome.rows), path).toEqual(rows.map(expectedNumbers))
    }
  })

  test('Megatron documents are lists of token ids, of whatever type', async () => {
    expect(Object.keys(written.megatron)).toHaveLength(8)
    for (const [path, rows] of Object.entries(written.megatron)) {
      const outcome = await read(megatron, [input(path)], { chunkBytes })
      expect(outcome.columns, path).toMatchObject([{ name: 'tokens', type: 'tokens' }])
      expect(outcome.rejects, path).toEqual([])
      expect(without(outcome.rows), path).toEqual(rows)
      expect(places(outcome.rows)).toEqual(rows.map((_, at) => at))
    }
  })
})

/** JSON from Python keeps integers beyond 2^53 exact; JavaScript has read them as floats. */
function expectedNumbers(row: Row): Row {
  const loose = (value: unknown): unknown =>
    typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)
      ? expect.toSatisfy((got) => Number(got) === value)
      : value
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, loose(value)]))
}

test('ranges of samples and documents give the rows of the whole', async () => {
  for (const [format, path] of [
    [mds, 'mds-tokens/shard.00000.mds'],
    [megatron, 'type-3.idx'],
  ] as const) {
    const file = input(path)
    const whole = await read(format, [file])
    const count = whole.rows.length
    for (const cuts of [
      [0, 17, 18, count],
      [0, 0, count, count],
    ]) {
      const pieces = cuts.slice(1).map((to, at) => {
        const from = cuts[at]!
        return { file, range: { kind: 'rowGroups', from, to, firstRow: from } } as const
      })
      const parts = await read(format, [file], { pieces, chunkBytes: 300 })
      expect(parts.rows, path).toEqual(whole.rows)
      expect(parts.truncated, path).toEqual([])
    }
  }
})

test('large files are split by samples and documents, from a look at their heads', async () => {
  const shard = changed('mds-tokens/shard.00000.mds', 'large/a.mds', (bytes) => bytes)
  changed('type-4.idx', 'large/a.idx', (bytes) => bytes)
  changed('type-4.bin', 'large/a.bin', (bytes) => bytes)
  // Nothing but holes behind what is read.
  for (const name of ['a.mds', 'a.bin']) truncateSync(placeOf(`large/${name}`), 150 << 20)
  for (const [format, path, whole] of [
    [mds, 'large/a.mds', shard],
    [megatron, 'large/a.idx', input('type-4.idx')],
  ] as const) {
    const splits = await format.plan([input(path)], { ...defaults, format: {} }, planning)
    const pieces = splits.flatMap((split) => (split.kind === 'split' ? split.pieces : []))
    expect(splits).toHaveLength(3)
    const { rows } = await read(format, [whole])
    expect((await read(format, [input(path)], { pieces })).rows, path).toEqual(rows)
  }
})

test('only the columns asked for are read, and an id of any kind names its row', async () => {
  const columns = ['cls', 'ids.npy']
  const wds = await read(webdataset, [input('wds.tar')], { text: 'txt', columns, id: '__key__' })
  expect(Object.keys(wds.rows[0]!)).toEqual(['position', 'id', 'text', ...columns])
  expect(wds.rows.slice(0, 2).map(({ id }) => id)).toEqual(['sample000000', 'sample000001'])
  const numbered = await read(tfrecord, [input('examples.tfrecord')], { id: 'n', columns: ['score'] })
  expect(Number(numbered.rows[3]!['id'])).toBe(written.tfrecords['examples.tfrecord']![3]!['n'])
  const shard = await read(mds, [input('mds-plain/shard.00001.mds')], { id: 'digits', columns: ['ids'] })
  expect(Object.keys(shard.rows[0]!)).toEqual(['position', 'id', 'text', 'ids'])
})

test('a Parquet file with a column of tokens and no text has documents too', async () => {
  const { rows, columns } = await read(parquet, [input('tokens.parquet')], { columns: [] })
  expect(columns).toEqual([{ name: 'tokens', type: 'tokens' }])
  expect(without(rows)).toEqual(written.megatron['type-8.idx'])
})

test('an MDS index stands for its shards, and a shard that is named as well is read once', async () => {
  const files = [input('mds-zstd/index.json'), input('mds-zstd/shard.00001.mds.zstd')]
  const options = { ...defaults, format: {} }
  const splits = await mds.plan(files, options, planning)
  const pieces = splits.flatMap((split) => (split.kind === 'split' ? split.pieces : []))
  expect(pieces.map(({ file }) => file.path)).toEqual([0, 1, 2].map((nth) => `mds-zstd/shard.0000${nth}.mds.zstd`))
  const { rows } = await read(mds, files, { pieces, columns: [] })
  const texts = pieces.flatMap(({ file }) => written.mds[file.path]!.map(({ text }) => text))
  expect(rows.map(({ text }) => text)).toEqual(texts)
})

test('the fingerprint of a Megatron file is that of both its parts', async () => {
  const [split] = await megatron.plan([input('type-1.idx')], { ...defaults, format: {} }, planning)
  const { mtimeNs, size } = statSync(placeOf('type-1.bin'), { bigint: true })
  const fingerprint = split?.kind === 'split' ? split.pieces[0]?.file.fingerprint : undefined
  expect(fingerprint).toContain(String(size))
  expect(fingerprint).toContain(String(mtimeNs))
})
