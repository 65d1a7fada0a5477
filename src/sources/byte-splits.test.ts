import fc from 'fast-check'
import { expect, test } from 'vitest'
import { planning, writeFiles } from '../../test/read-source.js'
import { planSplits, SPLIT_BYTES } from './byte-splits.js'
import type { InputFile, SequentialFile, Split } from './source.js'

const MIB = 1 << 20
const anywhere = { records: 'anywhere', alignBytes: 1 } as const

function file(path: string, size: number): InputFile {
  return { path, url: `/nowhere/${path}`, size, fingerprint: '' }
}

function names(splits: readonly (Split | SequentialFile)[]): string[][] {
  return splits.map((split) =>
    split.kind === 'split' ? split.pieces.map((piece) => piece.file.path) : [split.file.path],
  )
}

test('every small file is in one split, in order, and splits are bounded', () =>
  fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 40 * MIB }), { maxLength: 60 }), async (sizes) => {
      const files = sizes.map((size, i) => file(`${i}.jsonl`, size))
      const splits = await planSplits(files, anywhere, planning)
      expect(names(splits).flat()).toEqual(files.map(({ path }) => path))
      for (const split of splits) expect(split.bytes).toBeLessThanOrEqual(SPLIT_BYTES)
    }),
  ))

test('a new file disturbs only the groups near it', async () => {
  const files = Array.from({ length: 2000 }, (_, i) => file(`${String(i).padStart(4, '0')}.jsonl`, MIB))
  const before = names(await planSplits(files, anywhere, planning)).map(String)
  const after = names(
    await planSplits([...files.slice(0, 1000), file('0999-new.jsonl', MIB), ...files.slice(1000)], anywhere, planning),
  )
  const kept = new Set(before)
  expect(after.filter((group) => !kept.has(String(group))).length).toBeLessThan(8)
})

test('ten thousand small files plan without a look at any of them', async () => {
  const files = Array.from({ length: 10_000 }, (_, i) => file(`part-${i}.jsonl.zst`, 10_000))
  const started = performance.now()
  const splits = await planSplits(files, anywhere, planning)
  expect(performance.now() - started).toBeLessThan(1000)
  expect(splits.length).toBeGreaterThan(4)
})

test('a large plain file is cut into ranges, a large compressed one is walked', async () => {
  const [plain] = await writeFiles({ 'a.jsonl': Buffer.alloc(150 * MIB, '\n') })
  const splits = await planSplits([plain!, file('b.jsonl.gz', 9 * MIB)], anywhere, planning)
  expect(splits.map((split) => (split.kind === 'split' ? split.pieces[0]!.range : split.kind))).toEqual([
    { kind: 'bytes', from: 0, to: 64 * MIB },
    { kind: 'bytes', from: 64 * MIB, to: 128 * MIB },
    { kind: 'bytes', from: 128 * MIB, to: 150 * MIB },
    'sequential',
  ])
})
