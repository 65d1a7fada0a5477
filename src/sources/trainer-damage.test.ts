/** The sources mds, webdataset, tfrecord and megatron on damaged files: what is lost, and what is said of it. */
import { readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { defaults, planning } from '../../test/read-source.js'
import { changed, input, placeOf, read, without, writtenForTests } from '../../test/trainer-files.js'
import { GristmillError } from '../core/errors.js'
import { mds } from './mds.js'
import { megatron } from './megatron.js'
import { tfrecord } from './tfrecord.js'
import { webdataset } from './webdataset.js'

const written = writtenForTests()

const TOKENS = [{ name: 'tokens', type: 'tokens' }] as const

async function failure(work: Promise<unknown>): Promise<GristmillError> {
  const error: unknown = await work.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(error instanceof GristmillError)) throw new Error(`no GristmillError: ${String(error)}`)
  return error
}

test('a TFRecord file that was cut has the records before and says so', async () => {
  const { rows } = await read(tfrecord, [input('examples.tfrecord')])
  const cut = Number(rows[40]!['position']) + 30
  const file = changed('examples.tfrecord', 'cut.tfrecord', (bytes) => bytes.subarray(0, cut))
  const outcome = await read(tfrecord, [file])
  expect(outcome.rows).toEqual(rows.slice(0, 40))
  expect(outcome.rejects).toMatchObject([{ offset: cut - 30, length: 30, code: 'truncated' }])
  expect(outcome.truncated).toEqual([expect.stringContaining('the file ends inside a record')])
})

test('a TFRecord record with a wrong checksum costs itself, a wrong length the rest', async () => {
  const { rows } = await read(tfrecord, [input('examples.tfrecord')])
  const at = (row: number): number => Number(rows[row]!['position'])
  const file = changed('examples.tfrecord', 'crc.tfrecord', (bytes) => {
    bytes[at(7) + 20]! ^= 1
    bytes[at(50) + 1]! ^= 1
    return bytes
  })
  const outcome = await read(tfrecord, [file])
  expect(outcome.rows).toEqual([...rows.slice(0, 7), ...rows.slice(8, 50)])
  const codes = outcome.rejects.map(({ code, offset }) => [code, offset])
  expect(codes).toEqual([
    ['tfrecord-crc', at(7)],
    ['tfrecord-length', at(50)],
  ])
  expect(outcome.truncated).toHaveLength(1)
})

test('a feature that is a list after all is a bad record, unless it is said to be one', async () => {
  const rows = written.tfrecords['examples.tfrecord']!
  const found = [
    { name: 'text', type: 'string', arrowType: 'Utf8' },
    { name: 'ids', type: 'int64', arrowType: 'Int64' },
  ] as const
  const outcome = await read(tfrecord, [input('examples.tfrecord')], { found, columns: ['ids'] })
  const single = rows.filter(({ ids }) => (ids as number[]).length < 2)
  expect(outcome.rows).toHaveLength(single.length)
  expect(new Set(outcome.rejects.map(({ code }) => code))).toEqual(new Set(['column-type']))
  expect(outcome.rejects[0]!.reason).toContain('name it in source.lists')
  const lists = await read(tfrecord, [input('examples.tfrecord')], { format: { lists: ['n'] }, columns: ['n'] })
  expect(lists.columns).toMatchObject([{ name: 'text' }, { name: 'n', type: 'other', arrowType: 'List(Int64)' }])
})

test('a tar archive is read up to a damaged header, or to where it was cut', async () => {
  const { rows } = await read(webdataset, [input('gnu.tar')], { text: 'txt' })
  const at = Number(rows[9]!['position'])
  const broken = changed('gnu.tar', 'broken.tar', (bytes) => bytes.fill(7, at, at + 9))
  const outcome = await read(webdataset, [broken], { text: 'txt' })
  // The sample before may have had more members behind the damage.
  expect(outcome.rows).toEqual(rows.slice(0, 8))
  expect(outcome.rejects.map(({ code, offset }) => [code, offset])).toEqual([
    ['truncated', rows[8]!['position']],
    ['tar-header', at],
  ])
  const cut = changed('gnu.tar', 'cut.tar', (bytes) => bytes.subarray(0, at + 512 + 1))
  const short = await read(webdataset, [cut], { text: 'txt' })
  expect(short.rows).toEqual(rows.slice(0, 8))
  expect(short.truncated).toEqual([expect.stringContaining('cut.tar: the archive ends inside a member')])
})

test('a WebDataset value that is not what its extension says costs its sample', async () => {
  const { rows } = await read(webdataset, [input('wds.tar')], { text: 'txt' })
  const file = changed('wds.tar', 'values.tar', (bytes) => {
    const from = Number(rows[2]!['position'])
    const member = bytes.indexOf('sample000002.cls', from)
    bytes.write('x', member + 512)
    return bytes
  })
  const outcome = await read(webdataset, [file], { text: 'txt' })
  expect(outcome.rows).toEqual(rows.filter((_, row) => row !== 2))
  expect(outcome.rejects).toMatchObject([{ code: 'column-type', offset: rows[2]!['position'] }])
  expect(outcome.rejects[0]!.reason).toBe("column 'cls': the value is no integer of 64 bits")
})

test('an MDS shard that was cut has the samples before; one that is not what its index says is not read', async () => {
  const path = 'mds-plain/shard.00000.mds'
  const { rows } = await read(mds, [input(path)])
  const cut = changed(path, 'mds-cut/shard.00000.mds', (bytes) => bytes.subarray(0, bytes.length - 1))
  const outcome = await read(mds, [cut])
  expect(outcome.rows).toEqual(rows.slice(0, -1))
  expect(outcome.rejects).toMatchObject([{ code: 'truncated', offset: rows.length - 1 }])

  const beside = ['index.json']
  const short = changed(path, 'mds-short/shard.00000.mds', (bytes) => bytes.subarray(0, -1), beside)
  const found = outcome.columns
  const refused = await read(mds, [short], { found })
  expect(refused.rows).toEqual([])
  expect(refused.rejects).toMatchObject([{ code: 'mds-index', offset: 0, length: short.size }])
  expect(refused.truncated[0]).toMatch(/index.json beside it says \d+ bytes, the shard has \d+/)

  const flipped = changed(path, 'mds-flipped/shard.00000.mds', (bytes) => bytes.fill(0, bytes.length - 1), beside)
  const hashed = await read(mds, [flipped], { found })
  expect(hashed.rejects.at(-1)).toMatchObject({ code: 'mds-hash' })
  expect(hashed.truncated).toHaveLength(1)
})

test('an index that is damaged, has other samples or lists another shard is not read past', async () => {
  const path = 'mds-tokens/shard.00000.mds'
  const index = JSON.parse(readFileSync(placeOf('mds-tokens/index.json'), 'utf8'))
  const tries: [string, string, RegExp][] = [
    ['damaged', '{', /is no index of MDS shards/],
    ['other', JSON.stringify(index).replace('shard.00000', 'shard.00009'), /does not list shard.00000.mds/],
    ['samples', JSON.stringify(index).replace('"samples":50', '"samples":51'), /says 51 samples, the shard has 50/],
    ['outside', JSON.stringify(index).replace('shard.00000', '../shard.00000'), /outside of its folder/],
  ]
  for (const [name, json, reason] of tries) {
    const file = changed(path, `mds-${name}/shard.00000.mds`, (bytes) => bytes)
    writeFileSync(placeOf(`mds-${name}/index.json`), json)
    const outcome = await read(mds, [file])
    expect(outcome.rows, name).toEqual([])
    expect(outcome.truncated, name).toEqual([expect.stringMatching(reason)])
  }
  const error = await failure(mds.plan([input('mds-other/index.json')], { ...defaults, format: {} }, planning))
  expect([error.code, error.message]).toEqual(['GM_INPUT_NONE', expect.stringContaining('which is not beside it')])
})

test('pickled and unknown encodings are refused, unless their column is left out', async () => {
  for (const [encoding, reason] of [
    ['pkl', 'encoded as pkl: pickled values run code when they are read'],
    ['zap', 'encoded as zap: the encoding is not known'],
  ] as const) {
    const path = `mds-${encoding}/a.mds`
    const rename = (bytes: Buffer): Uint8Array => {
      // The encoding of `raw`, the tenth of the columns in the order of their names.
      const head = bytes.indexOf('"column_encodings"')
      const text = bytes.toString('latin1', head, bytes.indexOf(']', head))
      const at = head + text.indexOf('"bytes"')
      return bytes.fill(`"${encoding}"  `, at, at + 7)
    }
    const file = changed('mds-plain/shard.00002.mds', path, rename)
    const error = await failure(read(mds, [file]))
    expect([error.code, error.message]).toEqual(['GM_COLUMN_TYPE', expect.stringContaining(reason)])
    const { rows } = await read(mds, [file], { columns: ['whole'] })
    expect(rows).toHaveLength(written.mds['mds-plain/shard.00002.mds']!.length)
  }
})

test('Megatron: no .bin, a short one, a damaged index', async () => {
  const alone = changed('type-8.idx', 'alone/type-8.idx', (bytes) => bytes)
  expect((await read(megatron, [alone], { found: TOKENS })).rejects).toMatchObject([{ code: 'megatron-index' }])

  const rows = written.megatron['type-4.idx']!
  const short = changed('type-4.idx', 'short/type-4.idx', (bytes) => bytes)
  const length = rows.slice(0, 60).reduce((sum, { tokens }) => sum + 4 * (tokens as number[]).length, 0)
  changed('type-4.bin', 'short/type-4.bin', (bytes) => bytes.subarray(0, length))
  const outcome = await read(megatron, [short])
  expect(without(outcome.rows.slice(0, 60))).toEqual(rows.slice(0, 60))
  const empty = rows.slice(60).filter(({ tokens }) => (tokens as number[]).length === 0).length
  expect(outcome.rejects).toHaveLength(20 - empty)
  expect(new Set(outcome.rejects.map(({ code }) => code))).toEqual(new Set(['megatron-index']))

  const damaged = changed('type-8.idx', 'damaged/type-8.idx', (bytes) =>
    bytes.fill(0xff, bytes.length - 12, bytes.length - 8),
  )
  changed('type-8.bin', 'damaged/type-8.bin', (bytes) => bytes)
  expect((await read(megatron, [damaged])).rejects).toMatchObject([{ code: 'megatron-index', offset: 0 }])
})

test('a token id that Megatron cannot hold costs its document', async () => {
  const file = changed('type-5.idx', 'ids/type-5.idx', (bytes) => bytes)
  changed('type-5.bin', 'ids/type-5.bin', (bytes) => {
    bytes.writeBigInt64LE(-1n, 0)
    return bytes
  })
  const { rows, rejects } = await read(megatron, [file])
  expect(rows).toHaveLength(79)
  expect(rejects).toMatchObject([{ code: 'token-range', reason: expect.stringContaining('0 to 2147483647') }])
})

test('values beyond maxRecordBytes are quarantined by reference', async () => {
  const big = await read(tfrecord, [input('examples.tfrecord')], { maxRecordBytes: 1024 })
  const all = await read(tfrecord, [input('examples.tfrecord')])
  expect(big.rows.length + big.rejects.length).toBe(all.rows.length)
  expect(big.rejects.length).toBeGreaterThan(0)
  for (const { code, bytes, length } of big.rejects) {
    expect([code, bytes.length]).toEqual(['record-too-long', 0])
    expect(length).toBeGreaterThan(1024)
  }
})
