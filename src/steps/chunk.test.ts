import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TEXT, runStep } from '../../test/run-step.js'
import { type Columns, liveBatchBytes } from '../kernels/batch.js'
import { chunk } from './chunk.js'

test('pieces carry their number, their parent and its columns', async () => {
  const columns: Columns = [...TEXT, { name: 'lang', type: 'string' }]
  const rows = [
    { id: 'a', text: 'one two three', lang: 'en' },
    { text: '', lang: null },
  ]
  const run = await runStep(chunk, { size: 8 }, { rows, columns })
  expect(run.rows).toEqual([
    { id: 'a#0', text: 'one two ', lang: 'en', chunk: 0 },
    { id: 'a#1', text: 'three', lang: 'en', chunk: 1 },
    { id: 'rows.jsonl:1#0', text: '', lang: null, chunk: 0 },
  ])
  expect(run.columns.at(-1)).toEqual({ name: 'chunk', type: 'int64' })
})

test('tokens are cut exactly, and a kept text is dropped', async () => {
  const columns: Columns = [...TEXT, { name: 'tokens', type: 'tokens' }]
  const rows = [
    { id: 'a', text: 'x', tokens: Uint32Array.of(1, 2, 3, 4, 5) },
    { id: 'b', text: 'y', tokens: new Uint32Array() },
  ]
  const run = await runStep(chunk, { by: 'tokens', size: 3, overlap: 1 }, { rows, columns })
  expect(run.rows).toEqual([
    { id: 'a#0', tokens: Uint32Array.of(1, 2, 3), chunk: 0 },
    { id: 'a#1', tokens: Uint32Array.of(3, 4, 5), chunk: 1 },
    { id: 'b#0', tokens: new Uint32Array(), chunk: 0 },
  ])
})

test('a text of a megabyte without spaces is cut in time', async () => {
  const { rows } = await runStep(chunk, { size: 100 }, { rows: [{ text: '漢'.repeat(1_000_000) }], columns: TEXT })
  expect(rows).toHaveLength(10_000)
})

test('cutting a second time numbers anew', async () => {
  const rows = [{ id: 'a#0', text: 'abcd', chunk: 0 }]
  const columns: Columns = [{ name: 'chunk', type: 'int64' }, ...TEXT]
  const run = await runStep(chunk, { size: 2, boundary: 'none' }, { rows, columns })
  expect(run.rows).toMatchObject([
    { id: 'a#0#0', chunk: 0 },
    { id: 'a#0#1', chunk: 1 },
  ])
})

test.each([
  [{ by: 'tokens', size: 3 }, TEXT, 'GM_COLUMN_MISSING', 'there are no tokens to cut'],
  [{ size: 3 }, [{ name: 'tokens', type: 'tokens' }] as Columns, 'GM_CONFIG', 'the text is tokenized already'],
])('%o over %o is refused', async (config, columns, code, message) => {
  await expect(runStep(chunk, config, { rows: [], columns })).rejects.toMatchObject({
    code,
    message: expect.stringContaining(message),
  })
})

test('an overlap as large as the piece is refused', () => {
  expect(chunk.config.safeParse({ size: 3, overlap: 3 }).error?.issues[0]).toMatchObject({ path: ['overlap'] })
})

test('without overlap the pieces are the document', () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: fc.constantFrom('a', ' ', '\n', 'é', '漢', '😀') })),
      fc.integer({ min: 1, max: 9 }),
      fc.constantFrom('space', 'none'),
      async (texts, size, boundary) => {
        const rows = texts.map((text, at) => ({ id: String(at), text }))
        const run = await runStep(chunk, { size, boundary }, { rows, columns: TEXT, batchRows: 3 })
        const joined = new Map<string, string>()
        for (const { id, text } of run.rows as { id: string; text: string }[]) {
          expect(Array.from(text).length).toBeLessThanOrEqual(size)
          const parent = id.split('#')[0]!
          joined.set(parent, (joined.get(parent) ?? '') + text)
        }
        expect([...joined.values()]).toEqual(texts)
      },
    ),
  ))

test('no batch is left behind', () => expect(liveBatchBytes()).toBe(0))
