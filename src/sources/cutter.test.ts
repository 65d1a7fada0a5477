import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { testFolder } from '../../test/folder.js'
import { planning, readFiles, readSplits, writeFiles } from '../../test/read-source.js'
import { zstdFrame, zstdStream } from '../../test/zstd.js'
import { cutFile } from './cutter.js'
import { jsonl } from './jsonl.js'
import type { InputFile, Split } from './source.js'

const columns = [{ name: 'text', type: 'string' }] as const
const lines = Array.from({ length: 20_000 }, (_, i) => `{"id":${i},"text":"row ${i} ${'x'.repeat(i % 60)}"}\n`).join('')

async function cut(file: InputFile, targetBytes = 100_000): Promise<Split[]> {
  const spoolFolder = testFolder('spool')
  const splits: Split[] = []
  for await (const split of cutFile(file, { format: 'jsonl' }, { spoolFolder, targetBytes }, planning))
    splits.push(split)
  return splits
}

function ranges(splits: readonly Split[]) {
  return splits.map(({ pieces: [piece] }) => piece!.range).filter((range) => range.kind === 'spool')
}

test('cuts of a compressed stream hold its bytes, end at records, and depend on the stream alone', async () => {
  const files = await writeFiles({ 'a.jsonl.zst': zstdStream(lines), 'b.jsonl.gz': gzipSync(lines, { level: 1 }) })
  const [zstd, gzip] = await Promise.all(files.map((file) => cut(file)))
  const places = (splits: readonly Split[]) => ranges(splits).map(({ from, bytes }) => [from, bytes])
  expect(places(zstd!)).toEqual(places(gzip!))
  expect(zstd!.length).toBeGreaterThan(8)
  expect(
    ranges(zstd!)
      .map(({ spool }) => readFileSync(spool, 'utf8'))
      .join(''),
  ).toBe(lines)
  const { rows } = await readSplits(jsonl, zstd!, columns)
  expect(rows).toEqual((await readFiles(jsonl, [files[0]!])).rows)
})

test('a byte order mark stays with the first cut', async () => {
  const files = await writeFiles({ 'a.jsonl.gz': gzipSync(`\ufeff${lines}`) })
  const { rows, rejects } = await readSplits(jsonl, await cut(files[0]!), columns)
  expect([rows.length, rejects.length, rows[0]!.position]).toEqual([20_000, 0, 3])
})

test('a stream cut short reports it with its last cut', async () => {
  const whole = zstdFrame(lines)
  const files = await writeFiles({
    'a.jsonl.zst': whole.subarray(0, whole.length - 5000),
    'b.jsonl.zst': Buffer.alloc(0),
  })
  for (const file of files) {
    const splits = await cut(file)
    const outcome = await readSplits(jsonl, splits, columns)
    const direct = await readFiles(jsonl, [file])
    expect(outcome.truncated).toEqual(direct.truncated)
    expect(outcome.truncated.length).toBe(1)
    expect(outcome.rows).toEqual(direct.rows)
    expect(outcome.rejects).toEqual(direct.rejects)
    expect(ranges(splits.slice(0, -1)).every(({ ended }) => ended === undefined)).toBe(true)
  }
})

test('standard input is sampled and then cut from its start, plain or compressed', async () => {
  const program = `
    import { jsonl } from './dist/sources/jsonl.js'
    const file = { path: '-', url: '-', size: 0, fingerprint: '' }
    const context = { signal: new AbortController().signal }
    const options = { text: 'text', id: 'id', types: {}, onMissing: 'quarantine', maxRecordBytes: 1e6, format: {} }
    console.log(JSON.stringify(await jsonl.columns([file], options, context)))
    const [planned] = await jsonl.plan([file], options, context)
    for await (const split of jsonl.cut(planned.file, options, process.argv[1], context)) console.log(JSON.stringify(split))`
  const typed = lines.replaceAll('}', ',"n":1}')
  for (const input of [typed.repeat(3), gzipSync(typed.repeat(3))]) {
    const folder = testFolder('spool')
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, folder], {
      cwd: join(import.meta.dirname, '../..'),
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    child.stdin.end(input)
    let out = ''
    for await (const part of child.stdout.setEncoding('utf8')) out += part as string
    const [shown, ...splits] = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown)
    expect(shown).toEqual([
      { name: 'text', type: 'string' },
      { name: 'n', type: 'int64' },
    ])
    const { rows } = await readSplits(jsonl, splits as Split[], columns)
    expect([rows.length, rows[0]!.file]).toEqual([60_000, '-'])
  }
})
