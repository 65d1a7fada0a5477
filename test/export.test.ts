/** Exports are read back by the tools whose formats they have (test/oracles/exports.py) and hold the run's samples. */
import fc from 'fast-check'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, expect, test } from 'vitest'
import { EXPORT_FORMATS, type ExportFormat, type ExportOptions, exportRun } from '../src/pipeline/export.js'
import { gristmill, runWell, testFolder } from './command.js'
import { askOracle } from './oracle.js'

type Sample = Record<string, unknown>
interface Made {
  readonly sequences: readonly (readonly (readonly number[])[])[]
  readonly documents: readonly (readonly number[])[]
  readonly rows: readonly Sample[]
}

const LENGTH = 64

const folder = testFolder('export')
const runs: { run: string; made: Made }[] = []
beforeAll(() => {
  for (const wide of [false, true]) {
    const run = join(folder, wide ? 'wide' : 'narrow')
    runs.push({ run, made: askOracle<Made>('exports.py', { make: run, seed: Number(wide), wide }) })
  }
})

/** The samples of exports, each read by the tool of its format. */
const readBack = (exports: readonly { folder: string; format: ExportFormat }[]): Sample[][] =>
  askOracle<Sample[][]>('exports.py', { read: exports })

function sequencesOf({ sequences }: Made, padId?: number): Sample[] {
  return sequences.map((pieces) => {
    const tokens = pieces.flat()
    const ends = pieces.reduce((ends, piece) => [...ends, ends.at(-1)! + piece.length], [0])
    const padding = padId === undefined ? [] : Array<number>(LENGTH - tokens.length).fill(padId)
    return { tokens: [...tokens, ...padding], cu_seqlens: ends }
  })
}

const documentsOf = ({ documents, rows }: Made, format: ExportFormat): Sample[] =>
  documents.map((tokens, number) => rowOf({ tokens, ...rows[number] }, format))

/** A row as a format gives it back: TFRecord has neither nulls nor truth values, and lists of one for numbers. */
function rowOf(row: Sample, format: ExportFormat): Sample {
  if (format !== 'tfrecord') return row
  const there = Object.entries(row).filter(([, value]) => value !== null)
  const plain = (value: unknown): unknown =>
    Array.isArray(value) || typeof value === 'string' ? value : [Number(value)]
  return Object.fromEntries(there.map(([name, value]) => [name, plain(value)]))
}

test('compressed shards hold the same', async () => {
  const { run, made } = runs[0]!
  const exports = (['mds', 'litdata'] as const).map((format) => ({ format, folder: join(folder, `zstd-${format}`) }))
  for (const { format, folder } of exports) {
    await exportRun(run, { to: format, out: folder, compression: 'zstd', shardBytes: 2000 })
  }
  expect(readBack(exports)).toEqual([sequencesOf(made), sequencesOf(made)])
  expect(readdirSync(exports[0]!.folder)).toContain('shard.00001.mds.zstd')
  expect(readdirSync(exports[1]!.folder)).toContain('chunk-0-1.zstd.bin')
  const refused = exportRun(run, { to: 'arrow', out: join(folder, 'zstd-arrow'), compression: 'zstd' })
  await expect(refused).rejects.toThrow('only mds and litdata')
})

test('every format holds the sequences and the documents of a run, however it is cut into shards', async () => {
  const cut = { shardBytes: fc.integer({ min: 1, max: 9000 }), workers: fc.integer({ min: 1, max: 4 }) }
  const choices = fc.sample(fc.record({ ...cut, padId: fc.option(fc.constant(7), { nil: undefined }) }), 2)
  const exports: { folder: string; format: ExportFormat }[] = []
  const expected: Sample[][] = []
  for (const [number, { run, made }] of runs.entries()) {
    const { shardBytes, workers, padId } = choices[number]!
    for (const format of EXPORT_FORMATS) {
      for (const documents of [false, true]) {
        const out = join(folder, `${number}-${format}-${documents}`)
        const options: ExportOptions = { to: format, out, documents, shardBytes, workers }
        const padded = documents || padId === undefined ? options : { ...options, padId }
        const report = await exportRun(run, padded)
        exports.push({ folder: out, format })
        expected.push(documents ? documentsOf(made, format) : sequencesOf(made, padId))
        expect(report.samples).toBe(expected.at(-1)!.length)
        expect(existsSync(`${out}.partial`)).toBe(false)
      }
    }
  }
  const read = readBack(exports)
  for (const [number, { folder }] of exports.entries()) expect(read[number], folder).toEqual(expected[number])
})

/** Rows with every type of column a pipeline knows, and nulls. */
const ROWS = Array.from({ length: 40 }, (_, number) => ({
  id: `row-${number}`,
  text: `grain ${number} 石臼`,
  lang: number % 4 === 3 ? null : 'en',
  count: 2 ** 40 + number,
  score: number / 8,
  good: number % 2 === 0,
  meta: { page: [number, null] },
}))

test('rows are exported with their columns, whatever the sink that wrote them', async () => {
  const place = testFolder('export')
  writeFileSync(join(place, 'rows.jsonl'), ROWS.map((row) => `${JSON.stringify(row)}\n`).join(''))
  const columns = ['lang', 'count', 'score', 'good', 'meta']
  const source = { paths: ['rows.jsonl'], columns, types: { meta: 'json' } }
  const exports: { folder: string; format: ExportFormat }[] = []
  for (const sink of ['parquet', 'arrow', 'jsonl']) {
    writeFileSync(join(place, `${sink}.json`), JSON.stringify({ source, sink }))
    await runWell(`${sink}.json`, sink, ['--quiet'], { cwd: place })
    for (const format of EXPORT_FORMATS) {
      const folder = join(place, `${sink}-${format}`)
      const report = await exportRun(join(place, sink), { to: format, out: folder, shardBytes: 1000 })
      expect(report.samples).toBe(ROWS.length)
      expect(report.shards).toBeGreaterThan(1)
      exports.push({ folder, format })
    }
  }
  let at = 0
  const expected = ROWS.map((row) => {
    const position = at
    at += Buffer.byteLength(`${JSON.stringify(row)}\n`)
    return { ...row, file: 'rows.jsonl', position, meta: JSON.stringify(row.meta) }
  })
  for (const [number, rows] of readBack(exports).entries()) {
    const { folder, format } = exports[number]!
    expect(rows, folder).toEqual(expected.map((row) => rowOf(row, format)))
  }
})

test('a killed export leaves no folder, and the same command ends it with the same bytes', async () => {
  const place = testFolder('export')
  askOracle('exports.py', { many: join(place, 'run') })
  const command = ['export', 'run', '--to', 'mds', '--shard-size', '1B', '--workers', '2']
  const whole = await gristmill([...command, '--out', 'whole', '--json'], { cwd: place })
  expect(JSON.parse(whole.stdout)).toMatchObject({ event: 'exported', format: 'mds', out: 'whole', resumed: 0 })
  const out = join(place, 'out')
  for (const units of [1, 200, 400]) {
    const ended = new AbortController()
    const { signal } = await gristmill([...command, '--out', 'out'], {
      cwd: place,
      onStart: (child) => {
        child.once('exit', () => ended.abort())
        void unitsWritten(`${out}.partial/work`, units, ended.signal).then(() => child.kill('SIGKILL'))
      },
    })
    if (signal === null) break // It was faster than the killer; the folder is whole then.
    expect(existsSync(out)).toBe(false)
  }
  if (!existsSync(out)) expect(await gristmill([...command, '--out', 'out'], { cwd: place })).toMatchObject({ code: 0 })
  expect(existsSync(`${out}.partial`)).toBe(false)
  expect(bytesOf(out)).toEqual(bytesOf(join(place, 'whole')))
  const again = await gristmill([...command, '--out', 'out'], { cwd: place })
  expect(again.code).toBe(2)
  expect(again.stderr).toContain('already holds a finished export')
})

test('Ctrl-C stops an export and says how to go on', async () => {
  const place = testFolder('export')
  askOracle('exports.py', { many: join(place, 'run') })
  const command = ['export', 'run', '--to', 'webdataset', '--out', 'out', '--shard-size', '1B', '--workers', '1']
  const ended = new AbortController()
  const { code, stderr } = await gristmill(command, {
    cwd: place,
    onStart: (child) => {
      child.once('exit', () => ended.abort())
      void unitsWritten(join(place, 'out.partial/work'), 1, ended.signal).then(() => child.kill('SIGINT'))
    },
  })
  if (code === 0) return // It was faster.
  expect({ code, stderr }).toMatchObject({
    code: 130,
    stderr: expect.stringContaining(`gristmill ${command.join(' ')}`),
  })
  expect(existsSync(join(place, 'out'))).toBe(false)
})

test('what cannot be exported is refused before anything is written', async () => {
  const { run } = runs[0]!
  const out = join(folder, 'refused')
  const refused = async (options: Partial<ExportOptions>, from = run): Promise<unknown> =>
    exportRun(from, { to: 'mds', out, ...options }).catch((error: unknown) => error)
  expect(await refused({}, 's3://bucket/run')).toMatchObject({ code: 'GM_CONFIG' })
  expect(await refused({}, join(folder, 'none'))).toMatchObject({ code: 'GM_RUN_MISSING' })
  expect(await refused({ seqLen: 5 })).toMatchObject({
    code: 'GM_CONFIG',
    message: expect.stringContaining('no pack of 5'),
  })
  expect(await refused({ documents: true, padId: 0 })).toMatchObject({ code: 'GM_CONFIG' })
  expect(await refused({ shardBytes: 2 ** 31 })).toMatchObject({ code: 'GM_CONFIG' })
  expect(await refused({ out: run })).toMatchObject({ message: expect.stringContaining('is not empty') })
  const aborted = AbortSignal.abort(new Error('enough'))
  await expect(exportRun(run, { to: 'mds', out, signal: aborted })).rejects.toThrow('enough')
  expect([out, `${out}.partial`].filter((path) => existsSync(path))).toEqual([])
  const usage = await gristmill(['export', run, '--to', 'mdz', '--out', out])
  expect(usage).toMatchObject({ code: 2, stderr: expect.stringContaining("no format 'mdz'") })
})

/** Resolves when records of so many units are there, or the process has ended. */
async function unitsWritten(work: string, units: number, ended: AbortSignal): Promise<void> {
  const records = (): number =>
    existsSync(work) ? readdirSync(work).filter((name) => /^\d+\.json$/u.test(name)).length : 0
  while (!ended.aborted && records() < units) await sleep(1)
}

const bytesOf = (out: string): Record<string, string> =>
  Object.fromEntries(readdirSync(out).map((name) => [name, readFileSync(join(out, name), 'base64')]))
