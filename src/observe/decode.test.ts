import { expect, test } from 'vitest'
import { sampleRun } from '../../test/samples/run-directory.js'
import { LocalStore } from '../io/local.js'
import { decodeSequences } from './decode.js'

/** A local store that counts what is read. */
class CountingStore extends LocalStore {
  bytes = 0

  override async read(key: string, from: number, to: number): Promise<Buffer> {
    const bytes = await super.read(key, from, to)
    this.bytes += bytes.length
    return bytes
  }
}

test('packed sequences come back piece by piece, with the documents they are of', async () => {
  const { folder, manifest } = await sampleRun([[[1, 2, 3], [4, 5], []], [[6, 7, 8, 9]]])
  const sequences = await decodeSequences(new LocalStore(folder), manifest, undefined, 10)
  expect(sequences.map(({ pieces }) => pieces.map(({ shard, document, ids }) => [shard, document, ids]))).toEqual([
    [
      ['00000', 0, [1, 2, 3]],
      ['00000', 1, [4, 5]],
      ['00000', 2, []],
    ],
    [['00001', 0, [6, 7, 8, 9]]],
  ])
  expect(sequences[0]).toMatchObject({ length: 8, tokens: 5 })
})

test('without packs it is the documents', async () => {
  const { folder, manifest } = await sampleRun([
    [
      [1, 2, 3],
      [4, 5],
    ],
    [[6, 7, 8, 9]],
  ])
  const sequences = await decodeSequences(new LocalStore(folder), { ...manifest, packs: [] }, undefined, 3)
  expect(sequences.map(({ length, pieces }) => [length, pieces[0]?.ids])).toEqual([
    [undefined, [1, 2, 3]],
    [undefined, [4, 5]],
    [undefined, [6, 7, 8, 9]],
  ])
})

test('reads what it shows, not the files', async () => {
  const documents = Array.from({ length: 20_000 }, (_, at) => [at % 60_000, 1])
  const { folder, manifest } = await sampleRun([documents])
  const store = new CountingStore(folder)
  const [first] = await decodeSequences(store, manifest, undefined, 1)
  expect(first?.pieces).toHaveLength(4)
  expect(store.bytes).toBeLessThan(20_000)
})
