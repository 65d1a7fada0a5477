import { appendFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fileOf, filesBelow, sampleRun } from '../../test/samples/run-directory.js'
import { LocalStore } from '../io/local.js'
import { type Finding, verifyRun } from './verify.js'

const TWO_SHARDS = [[[1, 2, 3], [4, 5], []], [[6, 7, 8, 9]]]

async function findings(folder: string): Promise<readonly Finding[]> {
  return (await verifyRun(new LocalStore(folder))).findings
}

/** The one finding, which must be about `file`. */
async function check(folder: string, file: string, message: RegExp): Promise<void> {
  const found = await findings(folder)
  expect(found.map((finding) => finding.file)).toEqual([file])
  expect(found[0]?.message).toMatch(message)
}

test('a whole run has no findings', async () => {
  const { folder } = await sampleRun(TWO_SHARDS)
  expect(await verifyRun(new LocalStore(folder))).toMatchObject({ name: 'sample', files: 12, findings: [] })
})

test('one flipped bit anywhere in a listed file is found, with the file and the MiB block', async () => {
  // Several blocks, so that the block named means something.
  const long = Array.from({ length: 1_400_000 }, (_, at) => at % 60_000)
  const { folder, manifest } = await sampleRun([[long], [[1, 2, 3]]], { packs: [] })
  rmSync(join(folder, 'packs'), { recursive: true })
  const files = filesBelow(folder).filter((name) => name !== 'manifest.json')
  expect(files.length).toBe(9)
  expect(manifest.shards[0]?.files[0]?.bytes).toBeGreaterThan(2 * 2 ** 20)
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...files),
      fc.double({ min: 0, max: 0.999999, noNaN: true }),
      fc.nat(7),
      async (name, where, bit) => {
        const path = join(folder, name)
        const before = readFileSync(path)
        const at = Math.floor(where * before.length)
        const after = Buffer.from(before)
        after[at]! ^= 1 << bit
        writeFileSync(path, after)
        const found = await findings(folder)
        writeFileSync(path, before)
        expect(found).toMatchObject([{ code: 'GM_SHARD_CHECKSUM', file: name, block: Math.floor(at / 2 ** 20) }])
      },
    ),
    { numRuns: 60 },
  )
})

test('missing, cut, grown and foreign files are named', async () => {
  const { folder } = await sampleRun(TWO_SHARDS)
  rmSync(join(folder, 'shards/00000.bin'))
  truncateSync(join(folder, 'shards/00001.idx'), 40)
  appendFileSync(join(folder, 'quarantine/00000.jsonl'), '\n')
  writeFileSync(join(folder, 'shards/00002.bin'), 'x')
  expect((await findings(folder)).map(({ file, message }) => `${file}: ${message}`)).toEqual([
    'shards/00000.bin: is missing',
    'shards/00001.idx: has 40 bytes, the manifest states 62',
    'quarantine/00000.jsonl: has 47 bytes, the manifest states 46',
    'shards/00002.bin: is not in the manifest',
  ])
})

test('totals that do not add up are found', async () => {
  const { folder, manifest, rewrite } = await sampleRun(TWO_SHARDS)
  rewrite({ totals: { ...manifest.totals, rowsIn: 12 } })
  await check(folder, 'manifest.json', /rowsIn \+ added = .*: 12 is not 11/)
  rewrite({ totals: { ...manifest.totals, tokens: 10 } })
  await check(folder, 'manifest.json', /tokens of the shards: 10 is not 9/)
})

test('files with right checksums and wrong counts are found', async () => {
  const { folder, manifest, rewrite } = await sampleRun(TWO_SHARDS)
  const [first, second] = manifest.shards
  rewrite({
    shards: [
      { ...first!, rows: 2 },
      { ...second!, rows: 2 },
    ],
    edits: manifest.edits!.map((file) => ({ ...file, rows: 4 })),
  })
  const found = await findings(folder)
  expect(found.map(({ file }) => file)).toEqual([
    'shards/00000.idx',
    'shards/00000.docs.parquet',
    'shards/00001.idx',
    'shards/00001.docs.parquet',
    'packs/8',
    'edits/00000.parquet',
  ])
  expect(found[0]?.message).toBe('3 documents, the manifest states 2 rows')
  expect(found[3]?.message).toBe('1 rows, the manifest states 2')
})

test.each([
  [16 + 8, 9, 'a piece lies in shard 9 of 2'],
  [16, 4, 'a piece ends at token 6 of shard 00000, which has 5'],
  [12, 2, '8 tokens, the manifest states 9'],
])('a pack whose pieces are wrong is found (byte %i set to %i)', async (at, value, message) => {
  const { folder, manifest, rewrite } = await sampleRun(TWO_SHARDS)
  const path = join(folder, 'packs/8/pieces.npy')
  const bytes = readFileSync(path)
  bytes.writeUInt8(value, bytes.length - 4 * 16 + at)
  writeFileSync(path, bytes)
  const [pack] = manifest.packs
  const files = await Promise.all(pack!.files.map(({ name }) => fileOf(folder, name)))
  rewrite({ packs: [{ ...pack!, files }] })
  await check(folder, 'packs/8', new RegExp(message))
})

test('a damaged manifest, an unfinished run and a folder that is none are errors that say so', async () => {
  const { folder } = await sampleRun(TWO_SHARDS)
  writeFileSync(join(folder, 'manifest.json'), '{"schemaVersion": 1')
  await expect(findings(folder)).rejects.toMatchObject({ code: 'GM_VERIFY', message: /not valid JSON/ })
  writeFileSync(join(folder, 'manifest.json'), '{"schemaVersion": 2}')
  await expect(findings(folder)).rejects.toMatchObject({ code: 'GM_VERIFY', message: /schemaVersion is 2/ })
  rmSync(join(folder, 'manifest.json'))
  await expect(findings(folder)).rejects.toMatchObject({ code: 'GM_RUN_MISSING' })
  writeFileSync(join(folder, 'commits/0-abc.json'), '{}')
  await expect(findings(folder)).rejects.toMatchObject({ code: 'GM_VERIFY', message: /unfinished: 1 task/ })
})
