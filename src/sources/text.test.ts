import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { defaults, planning, rangeSplit, readFiles, readSplits, writeFiles } from '../../test/read-source.js'
import { cutFile } from './cutter.js'
import type { Split } from './source.js'
import { text } from './text.js'

test('a document a file: small files share batches, bad ones are rejected', async () => {
  const files = await writeFiles({
    'a.txt': 'one\n\ntwo\n',
    'b.txt': '',
    'c.txt': '\ufeffmarked',
    'd.txt': Buffer.from([0x61, 0xff]),
    'e.md': gzipSync('packed'),
  })
  const { rows, rejects, batches } = await readFiles(text, files)
  expect(rows).toEqual([
    { file: 'a.txt', position: 0, id: null, text: 'one\n\ntwo\n' },
    { file: 'b.txt', position: 0, id: null, text: '' },
    { file: 'c.txt', position: 3, id: null, text: 'marked' },
    { file: 'e.md', position: 0, id: null, text: 'packed' },
  ])
  expect(rejects.map(({ file, code }) => [file, code])).toEqual([['d.txt', 'utf8']])
  expect(batches).toBe(1)
})

test('lines and paragraphs', async () => {
  const files = await writeFiles({ 'a.txt': 'first\r\nsecond\n\n \nthird\n' })
  const lines = await readFiles(text, files, { format: { unit: 'line' } })
  expect(lines.rows.map((row) => row['text'])).toEqual(['first', 'second', 'third'])
  const paragraphs = await readFiles(text, files, { format: { unit: 'paragraph' } })
  expect(paragraphs.rows.map((row) => [row.position, row['text']])).toEqual([
    [0, 'first\r\nsecond'],
    [17, 'third'],
  ])
})

test('documents of so many bytes do not cut characters, wherever reading starts', async () => {
  const content = '日本語テキスト🙂a'.repeat(20_000)
  const [file] = await writeFiles({ 'a.txt': content })
  const options = { ...defaults, format: { unit: 'bytes', chunkBytes: 65_536 } }
  const columns = await text.columns([file!], options, planning)
  const whole = await readSplits(text, [rangeSplit(file!, { kind: 'whole' })], columns, options)
  expect(whole.rows.map((row) => row['text']).join('')).toBe(content)
  expect(whole.rows.length).toBe(Math.ceil(file!.size / 65_536))
  const multiples = fc.uniqueArray(fc.integer({ min: 1, max: whole.rows.length - 1 }))
  await fc.assert(
    fc.asyncProperty(multiples, async (starts) => {
      const ends = [0, ...starts.sort((a, b) => a - b).map((nth) => nth * 65_536), file!.size]
      const splits = ends.slice(1).map((to, i) => rangeSplit(file!, { kind: 'bytes', from: ends[i]!, to }))
      expect((await readSplits(text, splits, columns, options, 70_000)).rows).toEqual(whole.rows)
    }),
    { numRuns: 20 },
  )
})

test('paragraphs of a compressed file are cut where they end', async () => {
  const content = Array.from({ length: 2000 }, (_, i) => `paragraph ${i}\nsecond line\n${i % 5 ? '' : '\n'}\n`).join('')
  const [file] = await writeFiles({ 'a.txt.gz': gzipSync(content) })
  const options = { ...defaults, format: { unit: 'paragraph' } }
  const whole = await readFiles(text, [file!], options)
  const splits: Split[] = []
  const native = { format: 'text', unit: 'paragraph', chunkBytes: 65_536 } as const
  for await (const split of cutFile(file!, native, { spoolFolder: join(file!.url, '..'), targetBytes: 5000 }, planning))
    splits.push(split)
  expect(splits.length).toBeGreaterThan(5)
  expect((await readSplits(text, splits, [{ name: 'text', type: 'string' }], options)).rows).toEqual(whole.rows)
  expect(whole.rows.length).toBe(2000)
})

test('text has no other columns, and its options are checked', async () => {
  await expect(readFiles(text, [], { columns: ['lang'] })).rejects.toMatchObject({ code: 'GM_COLUMN_MISSING' })
  expect(text.options.parse({})).toEqual({ unit: 'file', chunkBytes: 131_072 })
  expect(text.options.safeParse({ chunkBytes: 1000 }).success).toBe(false)
})
