/**
 * The step `stats` in whole runs: what it writes is what Python's Counter counts, however the rows are cut, and what
 * it shows holds nothing private.
 */
import { rmSync, readFileSync, writeFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { gristmill, manifestOf, metricsOf, outputsOf, pipelineFile, runWell, testFolder } from './command.js'
import { place } from './corpora.js'
import { askOracle } from './oracle.js'
import { realDocuments } from './real-documents.js'

type Rows = Record<string, unknown>[]
type Tables = Record<'groups' | 'lengths' | 'ngrams', Rows>

const SOURCES = ['web', 'books', undefined]
const LANGUAGES = ['en', 'de', 'zh', undefined]
const WORDS = { words: 'whitespace', ngrams: [3, 1, 2], top: 40 }

/** Real documents, and some that are none, in several files; with places they did not come from. */
function corpus(root: string, files: number): string[] {
  const texts = [...realDocuments().slice(0, 600), '', ' \u{a0}\u{2003}', 'a\u{1c}b a\u{85}b', '漢字 漢字 漢字']
  const paths = Array.from({ length: files }, (_, n) => join(root, `in/${n}.jsonl`))
  for (const [n, path] of paths.entries()) {
    const size = Math.ceil(texts.length / files)
    const lines = texts.slice(n * size, (n + 1) * size).map((text, at) => {
      const row = { text, source: SOURCES[at % 3], lang: LANGUAGES[(at + n) % 4] }
      return `${JSON.stringify(row)}\n`
    })
    place(path, lines.join(''))
  }
  return paths
}

const SOURCE = { paths: ['in'] }

function tablesOf(out: string, step: string): Tables {
  const read = (name: string): Rows =>
    askOracle<Rows>('read_parquet.py', { path: join(out, `stats/${step}/${name}.parquet`) })
  return { groups: read('groups'), lengths: read('lengths'), ngrams: read('ngrams') }
}

test('every figure is that of a Counter, with any number of workers and any batches', async () => {
  const root = testFolder('stats')
  const files = corpus(root, 3)
  const steps = [{ stats: WORDS }, 'shuffle', { filter: 'length(text) > 2000' }, { stats: { ngrams: [] } }]
  const file = pipelineFile(root, { source: SOURCE, steps, sink: 'jsonl' })
  const out = join(root, 'one')
  await runWell(file, out, ['--workers', '1'])
  const { top } = WORDS
  const expected = askOracle<Tables>('stats.py', { files, by: ['source', 'lang'], ngrams: [1, 2, 3], top })
  expect(tablesOf(out, 'stats')).toEqual(expected)
  expect(existsSync(join(out, 'stats/stats-2/ngrams.parquet'))).toBe(false)

  const other = join(root, 'other')
  await runWell(file, other, ['--workers', '3', '--memory', '512MiB'])
  expect(outputsOf(other, ['stats'])).toEqual(outputsOf(out, ['stats']))
  expect(metricsOf(other).statistics).toEqual(metricsOf(out).statistics)
  expect((await gristmill(['verify', out])).code).toBe(0)
})

test('what each step kept and removed of each source and language is in shares.parquet', async () => {
  const root = testFolder('stats')
  corpus(root, 2)
  const steps = [{ filter: 'length(text) > 2000' }, 'stats', 'exact-dedup', 'stats']
  const out = join(root, 'out')
  await runWell(pipelineFile(root, { source: SOURCE, steps, sink: 'jsonl' }), out, ['--workers', '2'])
  const shares = askOracle<Rows>('read_parquet.py', { path: join(out, 'stats/shares.parquet') })
  const before = askOracle<Rows>('read_parquet.py', { path: join(out, 'stats/stats/groups.parquet') })
  const after = askOracle<Rows>('read_parquet.py', { path: join(out, 'stats/stats-2/groups.parquet') })
  const rowsOf = (groups: Rows, field: unknown, value: unknown, other: unknown = null): unknown =>
    groups.find((group) => group['field'] === field && group['value'] === value && group['value_2'] === other)?.['rows']
  expect([...new Set(shares.map(({ step }) => step))]).toEqual(['filter', 'stats', 'exact-dedup', 'stats-2'])
  expect([...new Set(shares.map(({ field }) => field))]).toEqual(['lang', 'source', 'source,lang'])
  for (const { step, field, value, value_2: other, rows_in: rowsIn, kept, removed, kept_share: share } of shares) {
    expect(Number(kept) + Number(removed)).toBe(rowsIn)
    expect(share).toBeCloseTo(Number(kept) / Number(rowsIn), 12)
    if (step === 'filter' || step === 'stats') expect(kept).toBe(rowsOf(before, field, value, other))
    else expect(kept).toBe(rowsOf(after, field, value, other))
  }
  // Rows without a value are in no group.
  const all = (groups: Rows): number => Number(rowsOf(groups, null, null))
  const ofLanguages = before.filter(({ field }) => field === 'lang').reduce((sum, { rows }) => sum + Number(rows), 0)
  expect(all(before)).toBeGreaterThan(ofLanguages)
  expect(all(after)).toBe(manifestOf(out).totals.rowsOut)
})

test('a run that gets more inputs counts only these, and says the same as one that had all', async () => {
  const root = testFolder('stats')
  const [first, second] = corpus(root, 2) as [string, string]
  const file = pipelineFile(root, { source: SOURCE, steps: [{ stats: WORDS }], sink: 'jsonl' })
  const whole = join(root, 'whole')
  await runWell(file, whole)
  const content = readFileSync(second)
  rmSync(second)
  const grown = join(root, 'grown')
  await runWell(file, grown)
  expect(outputsOf(grown, ['stats'])).not.toEqual(outputsOf(whole, ['stats']))
  writeFileSync(second, content)
  await runWell(file, grown)
  expect(outputsOf(grown, ['stats'])).toEqual(outputsOf(whole, ['stats']))
  expect(existsSync(first)).toBe(true)
  expect((await gristmill(['verify', grown])).code).toBe(0)
})

test('a damaged or missing table is a finding of verify', async () => {
  const root = testFolder('stats')
  corpus(root, 1)
  const out = join(root, 'out')
  await runWell(pipelineFile(root, { source: SOURCE, steps: ['stats'], sink: 'jsonl' }), out)
  const table = join(out, 'stats/stats/groups.parquet')
  const bytes = readFileSync(table)
  bytes[8]! ^= 1
  writeFileSync(table, bytes)
  rmSync(join(out, 'stats/shares.parquet'))
  const { code, stdout, stderr } = await gristmill(['verify', out])
  expect(code).not.toBe(0)
  expect(stdout + stderr).toContain('stats/stats/groups.parquet')
  expect(stdout + stderr).toContain('stats/shares.parquet')
})

const EMAIL = 'anna.schmidt@uni-koeln.de'

test('n-grams of texts in which private data is still to be found are refused, and masked ones are not', async () => {
  const root = testFolder('stats')
  place(
    join(root, 'in/a.jsonl'),
    `${JSON.stringify({ text: `write to ${EMAIL} <script>alert(1)</script>` })}\n`.repeat(3),
  )
  const run = async (name: string, steps: readonly unknown[]): Promise<ReturnType<typeof gristmill>> =>
    gristmill([
      'run',
      pipelineFile(root, { source: { paths: ['in'] }, steps, sink: 'jsonl' }, `${name}.yaml`),
      '--out',
      join(root, name),
    ])
  const stats = { stats: { ngrams: [1], words: 'whitespace' } }
  for (const steps of [
    [stats, 'pii'],
    [{ pii: { mode: 'annotate' } }, stats],
  ]) {
    const { code, stderr } = await run('refused', steps)
    expect(code).toBe(2)
    expect(stderr).toContain('it would show pieces of texts that may hold private data')
  }
  expect((await run('masked', ['stats', 'pii', stats])).code).toBe(0)
  const out = join(root, 'masked')
  const report = readFileSync(join(out, 'report.html'), 'utf8')
  expect(report).not.toContain(EMAIL)
  expect(report).not.toContain('<script')
  expect(report).toContain('&lt;script&gt;alert(1)&lt;/script&gt;')
  expect(report).toContain('&lt;EMAIL&gt;')
  expect(metricsOf(out).statistics!.map(({ step, groups }) => [step, groups[0]!.ngrams.length])).toEqual([
    ['stats', 0],
    ['stats-2', 1],
  ])
})
