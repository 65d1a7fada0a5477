import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { beforeAll, describe, expect, test } from 'vitest'
import { testFolder } from '../../test/folder.js'
import { askOracle } from '../../test/oracle.js'
import { gristmill } from '../../test/cli.js'
import type { FeedBatch } from '../kernels/feed.js'
import { feed, type FeedMixture, type FeedOptions, type FeedState } from './feed.js'

/** The fields of a batch as the oracle names them. */
interface Plain {
  readonly tokens: number[]
  readonly labels: number[]
  readonly position_ids: number[]
  readonly loss_mask: number[]
  readonly attention_mask: number[]
  readonly cu_seqlens: number[]
  readonly sample_ids: number[]
  readonly dataset_ids: number[]
}

const folder = testFolder('feed')
let run: string
let expected: Plain[]

/** Two epochs of the Python loader, which its own tests hold against numpy. */
beforeAll(() => {
  run = join(folder, 'run')
  expected = askOracle<Plain[]>('feed_batches.py', { folder: run, options: { batch_size: 4, seed: 7 }, epochs: 2 })
})

function plain(batch: FeedBatch): Plain {
  const list = (numbers: Iterable<number | bigint>): number[] => Array.from(numbers, Number)
  return {
    tokens: list(batch.tokens),
    labels: list(batch.labels),
    position_ids: list(batch.positionIds),
    loss_mask: list(batch.lossMask),
    attention_mask: list(batch.attentionMask),
    cu_seqlens: list(batch.cuSeqlens),
    sample_ids: batch.sampleIds,
    dataset_ids: batch.datasetIds,
  }
}

async function epochs(runs: string | FeedMixture, options: FeedOptions, count = 1): Promise<Plain[]> {
  using opened = feed(runs, options)
  const batches: Plain[] = []
  for (let epoch = 0; epoch < count; epoch++) {
    expect(opened.epoch).toBe(epoch)
    for await (using batch of opened) batches.push(plain(batch))
  }
  return batches
}

test('batches are those of the Python loader, whatever is made ahead', async () => {
  expect(await epochs(run, { batchSize: 4, seed: 7 }, 2)).toEqual(expected)
  const every = ['tokens', 'labels', 'positionIds', 'lossMask', 'attentionMask'] as const
  const options: FeedOptions[] = [
    { batchSize: 4, seed: 7, dtype: 'int64', fields: [...every] },
    { batchSize: 4, seed: 7, prefetch: 0, buffers: 1 },
    { batchSize: 4, seed: 7, threads: 3, prefetch: 6 },
  ]
  for (const other of options) expect(await epochs(run, other, 2)).toEqual(expected)
  const python = { batch_size: 4, seed: 7, shift_labels: false, mask_documents: false, reset_position_ids: false }
  const otherwise = askOracle<Plain[]>('feed_batches.py', { folder: run, options: python, epochs: 1 })
  const same = { batchSize: 4, seed: 7, shiftLabels: false, maskDocuments: false, resetPositionIds: false }
  expect(await epochs(run, same)).toEqual(otherwise)
})

test('two ranks go on where one stopped', async () => {
  using whole = feed(run, { batchSize: 8, seed: 7 })
  const first: number[][] = []
  for await (using batch of whole) {
    first.push(batch.sampleIds)
    if (first.length === 3) break
  }
  const state = whole.state()
  expect(JSON.stringify(state).length).toBeLessThan(500)
  const rest: number[][] = []
  for await (using batch of whole) rest.push(batch.sampleIds)
  const halves: number[][][] = []
  for (const rank of [0, 1]) {
    using half = feed(run, { batchSize: 4, seed: 7, rank, worldSize: 2 })
    half.load(state)
    const own: number[][] = []
    for await (using batch of half) own.push(batch.sampleIds)
    halves.push(own)
  }
  expect(halves[0]!.map((own, at) => [...own, ...halves[1]![at]!])).toEqual(rest)
  using other = feed(run, { batchSize: 8, seed: 8 })
  expect(() => other.load(state)).toThrow(expect.objectContaining({ code: 'GM_FEED_STATE' }))
})

test('a mixture and length buckets are read as from Python', async () => {
  const mixture = {
    components: [
      { run, weight: 3 },
      { run, weight: 1 },
    ],
    tokens: 32 * 512,
  }
  const drawn = (await epochs(mixture, { batchSize: 16 })).flatMap((batch) => batch.dataset_ids)
  expect(drawn).toHaveLength(512)
  expect(drawn.filter((dataset) => dataset === 1).length / 512).toBeCloseTo(0.25, 1)
  const options = { max_tokens: 128, buckets: [8, 16, 32], seed: 7 }
  const bucketed = askOracle<Plain[]>('feed_batches.py', { folder: run, options, epochs: 1 })
  expect(await epochs(run, { maxTokens: 128, buckets: [8, 16, 32], seed: 7 })).toEqual(bucketed)
})

test('parts of a run and batches by difficulty are read as from Python', async () => {
  const difficulty = { column: 'grade', limit: 25 }
  const options = { batch_size: 8, buckets: [8, 16, 32], seed: 7, difficulty }
  const byDifficulty = askOracle<Plain[]>('feed_batches.py', { folder: run, options, epochs: 1 })
  expect(new Set(byDifficulty.map((batch) => batch.sample_ids.length)).size).toBeGreaterThan(2)
  expect(await epochs(run, { batchSize: 8, buckets: [8, 16, 32], seed: 7, difficulty })).toEqual(byDifficulty)
  const rising = { batch_size: 4, seed: 7, difficulty: { column: 'grade', bands: 3 } }
  const inBands = askOracle<Plain[]>('feed_batches.py', { folder: run, options: rising, epochs: 1 })
  expect(await epochs(run, { batchSize: 4, seed: 7, difficulty: rising.difficulty })).toEqual(inBands)
  const ask = { folder: run, options: { batch_size: 4, seed: 7 }, epochs: 1, by: 'lang' }
  const mixed = askOracle<Plain[]>('feed_batches.py', ask)
  const components = ['en', 'zh'].map((value) => ({ run, where: { column: 'lang', value } }))
  expect(await epochs({ components }, { batchSize: 4, seed: 7 })).toEqual(mixed)
})

describe('memory', () => {
  test('what is held keeps its bytes, what is disposed goes back', async () => {
    using opened = feed(run, { batchSize: 4, seed: 7, buffers: 6 })
    const held: FeedBatch[] = []
    let at = 0
    for await (const batch of opened) {
      expect(plain(batch)).toEqual(expected[at++])
      if (held.length < 5) held.push(batch)
      else batch.dispose()
    }
    expect(at).toBeGreaterThan(15)
    expect(held.map(plain)).toEqual(expected.slice(0, 5))
    const [{ tokens }] = held as [FeedBatch]
    held[0]!.dispose()
    held[0]!.dispose()
    expect(tokens).toHaveLength(0)
    expect(() => held[0]!.tokens).toThrow(expect.objectContaining({ code: 'GM_DISPOSED' }))
    opened.close()
    expect(plain(held[1]!)).toEqual(expected[1])
  })

  test('when all buffers are held the error names the option, and nothing is lost', async () => {
    using opened = feed(run, { batchSize: 4, seed: 7, buffers: 3 })
    const batches = opened[Symbol.asyncIterator]()
    const held: FeedBatch[] = []
    for (let at = 0; at < 3; at++) held.push((await batches.next()).value as FeedBatch)
    await expect(batches.next()).rejects.toMatchObject({
      code: 'GM_FEED_BUFFERS',
      message: expect.stringContaining('open the loader with more `buffers`') as string,
    })
    for (const batch of held) batch.dispose()
    for await (using batch of opened) {
      expect(plain(batch)).toEqual(expected[3])
      break
    }
  })

  test('what is forgotten goes back when it is collected', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    using opened = feed(run, { batchSize: 4, seed: 7 })
    let read = 0
    for await (const batch of opened) {
      expect(batch.tokens[0]).toBe(expected[read++]!.tokens[0])
      collect()
      await setImmediate()
    }
    expect(read).toBeGreaterThan(15)
  })

  test('one buffer is enough for a loop that disposes', async () => {
    expect(await epochs(run, { batchSize: 4, seed: 7, buffers: 1, prefetch: 0 }, 2)).toEqual(expected)
  })
})

test('a closed feed says so, an aborted one throws the reason', async () => {
  using closed = feed(run, { batchSize: 4 })
  closed.close()
  await expect(closed[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'GM_DISPOSED' })
  const stop = new AbortController()
  using stopped = feed(run, { batchSize: 4, signal: stop.signal })
  const batches = stopped[Symbol.asyncIterator]()
  await batches.next()
  stop.abort(new Error('enough'))
  await expect(batches.next()).rejects.toThrow('enough')
})

test('options that do not fit are refused with their name', () => {
  const refused: [FeedOptions, string][] = [
    [{ batchSize: 0 }, 'batchSize'],
    [{}, 'batch_size'],
    [{ batchSize: 4, maxTokens: 64 }, 'batch_size'],
    [{ batchSize: 4, mesh: { dp: 2 }, worldSize: 3 }, 'mesh'],
    [{ batchSize: 4, seqLen: 64 }, 'seq_len'],
    [{ batchSize: 4, fields: ['token' as 'tokens'] }, 'fields.0'],
    [{ batchSize: 4, batches: 3 } as FeedOptions, 'batches'],
    [{ batchSize: 5_000_000_000 }, 'batch_size'],
    [{ batchSize: 4, threads: 100_000 }, 'threads'],
  ]
  for (const [options, name] of refused) {
    expect(() => feed(run, options)).toThrow(
      expect.objectContaining({
        code: 'GM_CONFIG',
        message: expect.stringContaining(name) as string,
        hint: 'docs/feed.md lists the options',
      }),
    )
  }
  expect(() => feed(join(folder, randomUUID()), { batchSize: 4 })).toThrow(
    expect.objectContaining({ code: 'GM_RUN_MISSING' }),
  )
  using opened = feed(run, { batchSize: 4 })
  for (const epoch of [-1, 1.5, 2 ** 40]) {
    expect(() => (opened.epoch = epoch)).toThrow(expect.objectContaining({ code: 'GM_CONFIG' }))
  }
  expect(() => opened.load(undefined as unknown as FeedState)).toThrow(
    expect.objectContaining({ code: 'GM_FEED_STATE' }),
  )
})

test('gristmill feed tells order, rates and limits', async () => {
  const args = ['feed', run, '--batch-size', '4', '--seed', '7', '--seconds', '1']
  const told = await gristmill([...args, '--json'])
  expect(told.exitCode, told.stderr).toBe(0)
  const report = JSON.parse(told.stdout) as Record<string, unknown>
  expect(report).toMatchObject({
    sequenceLength: 32,
    epochBatches: expected.length / 2,
    order: expected.slice(0, 3).map((batch) => batch.sample_ids),
    stats: { paddingShare: expect.any(Number) as number, tokensPerSecond: expect.any(Number) as number },
  })
  const text = await gristmill([...args, '--world-size', '2'])
  expect(text.stdout).toMatch(/batches +\d+ +an epoch, of 4 on each of 2 ranks/)
  expect(text.stdout).toMatch(/memory copy +[\d.]+ GB\/s/)
  expect(text.stdout).toContain('batch 0')
  const missing = await gristmill(['feed', join(folder, 'nothing')])
  expect(missing.exitCode).toBe(2)
  expect(missing.stderr).toContain('GM_RUN_MISSING')
})
