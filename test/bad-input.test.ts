/**
 * What can be wrong with inputs, disks and configurations: the exit code, the message, and what is kept.
 */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { expect, onTestFinished, test } from 'vitest'
import {
  type CommandOptions,
  type Ended,
  gristmill,
  isBalanced,
  manifestOf,
  outputsOf,
  pipelineFile,
  quarantineOf,
  type QuarantineRecord,
  runWell,
  testFolder,
} from './command.js'
import { jsonLines, manyTasks, place, storedGzip } from './corpora.js'
import { zstdStream } from './zstd.js'

const good = (id: string): string => JSON.stringify({ id, text: `document ${id}` })
const plain = { source: { paths: ['in'] }, sink: { format: 'jsonl', compression: 'none' } }

interface Failure {
  readonly code: string
  readonly exit: number
  readonly message: RegExp
  readonly hint: RegExp
}

/** Checks how a run failed: for people on standard error, for programs on standard output. */
async function expectFailure(args: readonly string[], expected: Failure, options: CommandOptions = {}): Promise<Ended> {
  const ended = await gristmill(['run', ...args, '--json'], options)
  expect(ended.stderr).toMatch(expected.message)
  expect(ended.code, ended.stderr).toBe(expected.exit)
  const last = JSON.parse(ended.stdout.trimEnd().split('\n').at(-1)!) as Record<string, string>
  expect(last).toMatchObject({ event: 'error', code: expected.code })
  expect(last['message']).toMatch(expected.message)
  expect(last['hint']).toMatch(expected.hint)
  return ended
}

/** Runs over files in `in/`, some of whose records are bad; every key of each record in quarantine is checked. */
async function expectQuarantine(
  files: Readonly<Record<string, string | Uint8Array>>,
  expected: readonly Partial<QuarantineRecord>[],
  pipeline: { readonly source?: object; readonly exit: 0 | 3; readonly rows: number },
): Promise<string> {
  const root = testFolder('bad')
  for (const [name, bytes] of Object.entries(files)) place(join(root, 'in', name), bytes)
  const file = pipelineFile(root, { ...plain, source: { ...plain.source, ...pipeline.source } })
  const out = join(root, 'out')
  const ended = await gristmill(['run', file, '--out', out, '--workers', '2'])
  expect(ended.code, ended.stderr).toBe(pipeline.exit)
  const records = quarantineOf(out)
  expect(records).toEqual(expected.map((record) => expect.objectContaining(record) as unknown))
  for (const record of records) {
    expect(Object.keys(record)).toEqual(['file', 'offset', 'length', 'code', 'reason', 'bytes_base64'])
    expect(record.reason).not.toBe('')
  }
  const manifest = manifestOf(out)
  expect(manifest.exitCode).toBe(pipeline.exit)
  expect(manifest.totals).toMatchObject({ rowsOut: pipeline.rows, quarantined: expected.length })
  expect(isBalanced(manifest)).toBe(true)
  const verified = await gristmill(['verify', out])
  expect(verified.code, verified.stderr).toBe(0)
  return out
}

const base64 = (text: string | Uint8Array): string => Buffer.from(text).toString('base64')

test('broken JSON in the middle of a file', async () => {
  const [before, bad, after] = [good('a'), '{"id": "b", "text": "cut', good('c')]
  await expectQuarantine(
    { 'x.jsonl': `${before}\n${bad}\n${after}\n` },
    [
      {
        file: 'in/x.jsonl',
        offset: before.length + 1,
        length: bad.length,
        code: 'json-syntax',
        bytes_base64: base64(bad),
      },
    ],
    { exit: 3, rows: 2 },
  )
})

test('invalid UTF-8', async () => {
  const bad = Buffer.concat([Buffer.from('{"id":"b","text":"caf'), Buffer.from([0xe9]), Buffer.from('"}')])
  const lines = [Buffer.from(`${good('a')}\n`), bad, Buffer.from(`\n${good('c')}\n`)]
  await expectQuarantine(
    { 'x.jsonl': Buffer.concat(lines) },
    [{ file: 'in/x.jsonl', offset: good('a').length + 1, length: bad.length, bytes_base64: base64(bad) }],
    { exit: 3, rows: 2 },
  )
})

test('null, missing and numeric text, by policy', async () => {
  const lines = [good('a'), '{"id":"b","text":null}', '{"id":"c"}', '{"id":"d","text":5}', good('e')]
  const files = { 'x.jsonl': `${lines.join('\n')}\n` }
  const codes = ['text-null', 'text-missing', 'text-type'].map((code) => ({ code }))
  await expectQuarantine(files, codes, { exit: 3, rows: 2 })
  const skipped = await expectQuarantine(files, [], { exit: 0, rows: 2, source: { onMissing: 'skip' } })
  expect(manifestOf(skipped).totals.pruned).toBe(3)
  await expectQuarantine(files, [], { exit: 0, rows: 5, source: { onMissing: 'empty' } })
})

test('the share of bad records decides between exit 0 and exit 3', async () => {
  const lines = [...Array.from({ length: 99 }, (_, n) => good(String(n))), '{']
  const files = { 'x.jsonl': `${lines.join('\n')}\n` }
  await expectQuarantine(files, [{ code: 'json-syntax' }], { exit: 0, rows: 99 })
  await expectQuarantine(files, [{ code: 'json-syntax' }], { exit: 3, rows: 99, source: { maxBadShare: 0.009 } })
})

test.each([
  ['zstd', 'x.jsonl.zst', zstdStream],
  ['gzip', 'x.jsonl.gz', (text: Uint8Array) => gzipSync(text)],
] as const)(
  'a truncated %s file always ends with exit 3; whole records before the cut are kept',
  async (_what, name, compress) => {
    const root = testFolder('truncated')
    const text = jsonLines({ seed: 4, bytes: 3 * 2 ** 20, duplicates: 0 })
    const stored = compress(text)
    place(join(root, 'in', name), stored.subarray(0, Math.floor(stored.length / 2)))
    place(join(root, 'in/y.jsonl'), `${good('y')}\n`)
    const file = pipelineFile(root, { ...plain, source: { ...plain.source, maxBadShare: 1 } })
    const out = join(root, 'out')
    const ended = await gristmill(['run', file, '--out', out])
    expect(ended.code, ended.stderr).toBe(3)
    const manifest = manifestOf(out)
    expect(manifest.truncatedInputs).toMatchObject([{ path: `in/${name}` }])
    expect(isBalanced(manifest)).toBe(true)
    expect(manifest.totals.rowsOut).toBeGreaterThan(100)
    const rows = shardLines(out)
    const lines = text.toString().split('\n')
    expect(rows).toHaveLength(manifest.totals.rowsOut)
    expect(rows.slice(0, -1).map((row) => row.id)).toEqual(
      lines.slice(0, rows.length - 1).map((line) => (JSON.parse(line) as { id: string }).id),
    )
  },
)

function shardLines(out: string): { readonly id: string; readonly text: string }[] {
  return readdirSync(join(out, 'shards'))
    .toSorted()
    .flatMap((name) =>
      readFileSync(join(out, 'shards', name), 'utf8')
        .split('\n')
        .slice(0, -1),
    )
    .map((line) => JSON.parse(line) as { id: string; text: string })
}

test('a line of 500 MB is quarantined by reference, in bounded memory', async () => {
  const root = testFolder('long')
  mkdirSync(join(root, 'in'))
  const handle = openSync(join(root, 'in/long.jsonl'), 'w')
  const stretch = Buffer.alloc(2 ** 22, 'a')
  writeSync(handle, `${good('first')}\n{"id":"long","text":"`)
  for (let n = 0; n < 120; n++) writeSync(handle, stretch)
  writeSync(handle, `"}\n${good('last')}\n`)
  closeSync(handle)
  const source = { ...plain.source, maxRecordBytes: 2 ** 20, maxBadShare: 0.5 }
  const file = pipelineFile(root, { ...plain, source })
  const out = join(root, 'out')
  const { peakBytes } = await runMeasured(file, out)
  expect(shardLines(out).map(({ id }) => id)).toEqual(['first', 'last'])
  // The line end counts here, other than for records that are kept whole: it passed by with the rest.
  const length = '{"id":"long","text":""}\n'.length + 120 * stretch.length
  const [record, ...others] = quarantineOf(out)
  expect(others).toEqual([])
  expect(record).toMatchObject({
    file: 'in/long.jsonl',
    offset: good('first').length + 1,
    length,
    code: 'record-too-long',
  })
  expect(Buffer.from(record!.bytes_base64, 'base64').length).toBeLessThanOrEqual(64 << 10)
  expect(isBalanced(manifestOf(out))).toBe(true)
  expect(peakBytes).toBeLessThan(400 * 2 ** 20)
})

/** Runs under `/usr/bin/time`, which tells the peak of resident memory. */
async function runMeasured(file: string, out: string, args: readonly string[] = []): Promise<{ peakBytes: number }> {
  const { stderr } = await runWell(file, out, args, { under: ['/usr/bin/time', '-f', 'peak-kib=%M'] })
  return { peakBytes: Number(/peak-kib=(\d+)/u.exec(stderr)![1]) * 1024 }
}

test('a Parquet file cut short is quarantined with its reason, the other files are read', async () => {
  const root = testFolder('parquet')
  place(join(root, 'rows/a.jsonl'), jsonLines({ seed: 1, bytes: 2 ** 20 }))
  const make = pipelineFile(root, { source: { paths: ['rows'] }, sink: { format: 'parquet' } }, 'make.yaml')
  await runWell(make, join(root, 'made'))
  const whole = readFileSync(join(root, 'made/shards/00000.parquet'))
  place(join(root, 'in/a.parquet'), whole)
  place(join(root, 'in/b.parquet'), whole.subarray(0, whole.length - 100))
  const file = pipelineFile(root, { ...plain, source: { ...plain.source, maxBadShare: 1 } })
  const out = join(root, 'out')
  const ended = await gristmill(['run', file, '--out', out])
  expect(ended.code, ended.stderr).toBe(3)
  const { totals, truncatedInputs } = manifestOf(out)
  expect(totals.rowsOut).toBe(manifestOf(join(root, 'made')).totals.rowsOut)
  expect([...truncatedInputs.map(({ path }) => path), ...quarantineOf(out).map((record) => record.file)]).toContain(
    'in/b.parquet',
  )
  expect(isBalanced(manifestOf(out))).toBe(true)
})

test('a missing column, an empty folder, a glob that matches nothing, a file that is not there', async () => {
  const root = testFolder('missing')
  place(join(root, 'in/x.jsonl'), `${good('a')}\n`)
  mkdirSync(join(root, 'empty'))
  const run = (source: object): string[] => [pipelineFile(root, { ...plain, source }), '--out', join(root, 'out')]
  await expectFailure(run({ paths: ['in'], text: 'txet' }), {
    code: 'GM_COLUMN_MISSING',
    exit: 2,
    message: /txet/u,
    hint: /text/u,
  })
  await expectFailure(run({ paths: ['in'], columns: ['sorce'] }), {
    code: 'GM_COLUMN_MISSING',
    exit: 2,
    message: /sorce/u,
    hint: /./u,
  })
  const none = { code: 'GM_INPUT_NONE', exit: 2, hint: /./u }
  await expectFailure(run({ paths: ['empty'] }), { ...none, message: /empty/u })
  await expectFailure(run({ paths: ['in/**/*.jsonl.zst'] }), { ...none, message: /\.jsonl\.zst/u })
  await expectFailure(run({ paths: ['in/y.jsonl'] }), { ...none, message: /y\.jsonl/u })
  expect(existsSync(join(root, 'out'))).toBe(false)
})

test('typing mistakes in a configuration are named with their line and the word that was meant', async () => {
  const root = testFolder('typo')
  place(join(root, 'in/x.jsonl'), `${good('a')}\n`)
  const file = pipelineFile(root, {
    source: { paths: ['in'], onMising: 'skip' },
    steps: ['exact-dedupe', { shuffle: { sead: 1 } }],
    sink: { format: 'parqet' },
  })
  const { stderr } = await expectFailure([file, '--out', join(root, 'out')], {
    code: 'GM_CONFIG',
    exit: 2,
    message: /no valid pipeline/u,
    hint: /gristmill steps/u,
  })
  for (const [line, meant] of [
    [4, 'onMissing'],
    [6, 'exact-dedup'],
    [8, 'seed'],
    [10, 'parquet'],
  ]) {
    expect(stderr).toMatch(new RegExp(`line ${line}: .*did you mean '${meant}'`, 'u'))
  }
  const unlike = pipelineFile(root, { source: { paths: ['in'] }, steps: ['zzzz'], sink: 'jsonl' }, 'unlike.yaml')
  expect((await gristmill(['explain', unlike])).stderr).toContain('(the steps are normalize, filter, ')
  const flags = await gristmill(['run', file, '--out', join(root, 'out'), '--wrokers', '2'])
  expect(flags).toMatchObject({ code: 2, stderr: expect.stringContaining('--workers') as unknown })
})

test('two runs in one directory at once: the second is refused, the first ends well', async () => {
  const root = testFolder('twice')
  place(join(root, 'in/x.jsonl'), `${good('a')}\n`)
  place(join(root, 'package.json'), '{"type":"module"}')
  mkdirSync(join(root, 'node_modules'))
  symlinkSync(fileURLToPath(new URL('..', import.meta.url)), join(root, 'node_modules/gristmill'))
  const [begun, refused] = [join(root, 'begun'), join(root, 'refused')]
  // The first run says that it has begun, and waits until the second was refused.
  const file = place(
    join(root, 'pipeline.ts'),
    `import { existsSync, writeFileSync } from 'node:fs'
import { jsonl } from 'gristmill'
export default jsonl('in').filter(() => {
  writeFileSync(${JSON.stringify(begun)}, '')
  const never = new Int32Array(new SharedArrayBuffer(4))
  while (!existsSync(${JSON.stringify(refused)})) Atomics.wait(never, 0, 0, 5)
  return true
}).write(jsonl({ compression: 'none' }))
`,
  )
  const out = join(root, 'out')
  const first = gristmill(['run', file, '--out', out])
  while (!existsSync(begun)) await sleep(2)
  await expectFailure([file, '--out', out], {
    code: 'GM_RUN_LOCKED',
    exit: 1,
    message: /in use/u,
    hint: /another --out/u,
  })
  place(refused, '')
  expect(await first).toMatchObject({ code: 0 })
  expect(manifestOf(out).attempts).toHaveLength(1)
})

test('a run directory of another configuration, or a folder with other things, is left alone', async () => {
  const root = testFolder('other')
  place(join(root, 'in/x.jsonl'), `${good('a')}\n`)
  const out = join(root, 'out')
  await runWell(pipelineFile(root, plain), out)
  const before = readFileSync(join(out, 'manifest.json'))
  const other = pipelineFile(root, { ...plain, steps: [{ shuffle: { seed: 9 } }] }, 'pipeline.yaml')
  const expected = { code: 'GM_RUN_OTHER_CONFIG', exit: 2, hint: /--out/u }
  await expectFailure([other, '--out', out], { ...expected, message: /steps.*shuffle/u })
  expect(readFileSync(join(out, 'manifest.json'))).toEqual(before)
  place(join(root, 'thesis/chapter.txt'), 'mine')
  await expectFailure([other, '--out', join(root, 'thesis')], { ...expected, message: /chapter\.txt/u })
  expect(readFileSync(join(root, 'thesis/chapter.txt'), 'utf8')).toBe('mine')
})

/** Another user than root, who may write everywhere. */
const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--']

test('a folder that may not be written', async () => {
  const root = testFolder('unwritable')
  place(join(root, 'in/x.jsonl'), `${good('a')}\n`)
  const file = pipelineFile(root, plain)
  const closed = join(root, 'closed')
  mkdirSync(closed, { mode: 0o555 })
  chmodSync(root, 0o755)
  const under = process.getuid?.() === 0 ? nobody : []
  const expected = { code: 'GM_IO', exit: 1, message: /closed.*permission denied|EACCES.*closed/iu, hint: /write/u }
  await expectFailure([file, '--out', join(closed, 'out')], expected, { under })
  await expectFailure([file, '--out', closed], expected, { under })
})

/** A file system of a few MB, gone with the test. Needs root, as the machines that run these tests give. */
function smallDisk(root: string, mebibytes: number): { folder: string; grow: (to: number) => void } {
  const folder = join(root, 'disk')
  mkdirSync(folder)
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', folder])
  onTestFinished(() => void execFileSync('umount', ['-l', folder]))
  return { folder, grow: (to) => void execFileSync('mount', ['-o', `remount,size=${to}m`, folder]) }
}

test.each(['out', 'scratch'] as const)(
  'no space left for --%s: the run says so and goes on once there is room',
  async (which) => {
    const root = testFolder('full')
    manyTasks(root, 3)
    const file = pipelineFile(root, { ...plain, source: { paths: ['data'] }, steps: ['exact-dedup'] })
    const whole = join(root, 'whole')
    await runWell(file, whole)
    const disk = smallDisk(root, 8)
    const out = which === 'out' ? join(disk.folder, 'out') : join(root, 'out')
    const args = [file, '--out', out, ...(which === 'scratch' ? ['--scratch', disk.folder] : [])]
    await expectFailure(args, { code: 'GM_DISK_FULL', exit: 1, message: /no space left/iu, hint: /--scratch/u })
    expect(existsSync(join(out, 'manifest.json'))).toBe(false)
    disk.grow(200)
    const resumed = await gristmill(['run', ...args])
    expect(resumed.code, resumed.stderr).toBe(0)
    expect(outputsOf(out)).toEqual(outputsOf(whole))
  },
)

test('gzip without end of stream in a file of many pieces names the file', async () => {
  const root = testFolder('pieces')
  for (const name of ['a', 'b', 'c'])
    place(join(root, `in/${name}.jsonl.gz`), storedGzip(Buffer.from(`${good(name)}\n`)))
  const whole = readFileSync(join(root, 'in/b.jsonl.gz'))
  place(join(root, 'in/b.jsonl.gz'), whole.subarray(0, whole.length - 4))
  const file = pipelineFile(root, plain)
  const out = join(root, 'out')
  expect(await gristmill(['run', file, '--out', out])).toMatchObject({ code: 3 })
  expect(manifestOf(out).truncatedInputs).toMatchObject([{ path: 'in/b.jsonl.gz' }])
  expect(shardLines(out).map(({ id }) => id)).toEqual(['a', 'b', 'c'])
})
