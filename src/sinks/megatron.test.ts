import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { tokenBatch } from '../../test/batches.js'
import { testFolder } from '../../test/folder.js'
import { oracle } from '../../test/oracle.js'
import type { Columns } from '../kernels/batch.js'
import { assemblePacking, packWindow } from '../kernels/packing.js'
import { megatron } from './megatron.js'
import type { WrittenShard } from './sink.js'

const COLUMNS: Columns = [{ name: 'tokens', type: 'tokens' }]

const folder = testFolder('megatron')

/** Writes documents, in batches of a few, as one task would. */
function write(baseName: string, documents: readonly number[][], vocabularySize: number | undefined): WrittenShard[] {
  using writer = megatron.open({}, { folder, baseName, columns: COLUMNS, vocabularySize })
  for (let at = 0; at < documents.length; at += 7) {
    using batch = tokenBatch(documents.slice(at, at + 7), at)
    writer.write(batch)
  }
  return writer.finish()
}

function base(shard: WrittenShard): string {
  return shard.files.find((file) => file.suffix === '.bin')!.path.slice(0, -4)
}

describe('megatron', () => {
  test('an independent reader finds the documents, empty ones too', () => {
    const documents = [[1, 2, 3], [], [65_498], [7, 7]]
    const narrow = write('narrow', documents, 65_499)
    const wide = write('wide', documents, 65_500)
    const unknown = write('unknown', documents, undefined)
    expect(narrow.map(({ rows, tokens }) => [rows, tokens])).toEqual([[4, 6]])
    expect(narrow[0]!.files.map((file) => file.suffix)).toEqual(['.bin', '.idx', '.docs.parquet'])
    expect(oracle('megatron.py', ['documents', ...[narrow, wide, unknown].flat().map(base)])).toEqual([
      { dtype: 'uint16', documents },
      { dtype: 'int32', documents },
      { dtype: 'int32', documents },
    ])
  })

  test('a writer that saw no row writes nothing', () => {
    expect(write('none', [], 10)).toEqual([])
  })

  test('rows without token ids are refused with what to do', () => {
    expect(() => megatron.check([{ name: 'text', type: 'string' }])).toThrow(
      expect.objectContaining({ code: 'GM_CONFIG', hint: 'add a step `tokenize`' }),
    )
    expect(() => megatron.check(COLUMNS)).not.toThrow()
  })
})

interface OraclePiece {
  shard: number
  document: number
  from: number
  ids: number[]
}

describe('packing, read back with numpy alone', () => {
  const document = fc.array(fc.integer({ min: 0, max: 60_000 }), { maxLength: 30 })
  const shards = fc.array(fc.array(document, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 3 })
  const strategy = fc.constantFrom('best-fit' as const, 'concat' as const)

  test('every token is in exactly one sequence, whatever the windows', () => {
    let run = 0
    fc.assert(
      fc.property(
        shards,
        strategy,
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 15 }),
        (shards, strategy, length, windowDocuments) => {
          const name = `pack${run++}`
          const bases = shards.map((documents, i) => base(write(`${name}-${i}`, documents, 60_001)[0]!))
          const idx = bases.map((path, number) => ({ number, idx: `${path}.idx` }))
          const total = shards.flat().length
          const windows = []
          for (let from = 0; from < total; from += windowDocuments) {
            const to = Math.min(total, from + windowDocuments)
            const options = { length, strategy, truncate: false }
            windows.push(packWindow(options, idx, { from, to }, join(folder, `${name}.${from}`)))
          }
          const paths = windows.map(({ files }) => ({
            pieces: files.pieces.path,
            documents: files.documents.path,
            boundaries: files.boundaries.path,
          }))
          assemblePacking(paths, folder)
          const sequences = oracle<OraclePiece[][]>('megatron.py', ['sequences', folder, ...bases])

          expect(sequences.length).toBe(windows.reduce((sum, window) => sum + window.sequences, 0))
          expect(sequences.every((s) => s.reduce((sum, piece) => sum + piece.ids.length, 0) <= length)).toBe(true)
          const rebuilt = shards.map((documents) => documents.map(() => [] as number[]))
          const pieces = sequences.flat().sort((a, b) => a.from - b.from)
          for (const { shard, document, from, ids } of pieces) {
            const target = rebuilt[shard]![document]!
            expect(from).toBe(target.length)
            target.push(...ids)
          }
          expect(rebuilt).toEqual(shards)
        },
      ),
      { numRuns: 25 },
    )
  }, 60_000)
})
