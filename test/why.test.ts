/**
 * `why` tells the truth about every row: what a plain loop over the same documents decides, from each kind of input
 * and of shard, and what it cannot know it says.
 */
import { existsSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type * as Facade from '../src/index.js'
import { gristmill, manifestOf, pipelineFile, runWell, testFolder } from './command.js'
import { place, random, wordTokenizer } from './corpora.js'

const BUILD = '../dist/index.js'
const { loadPipeline, runPipeline, whyRow } = (await import(BUILD)) as typeof Facade

interface Document {
  readonly id: string
  readonly text: string
  readonly lang: string
}

const WORDS = ['corn', 'flour', 'mill', 'stone', '&amp;', 'water0', 'wheel1']

/** Documents with equal texts among them. */
function documents(count: number, seed = 1): Document[] {
  const next = random(seed)
  return Array.from({ length: count }, (_, n) => {
    const words = Array.from({ length: 1 + Math.floor(next() * 12) }, () => WORDS[Math.floor(next() * WORDS.length)]!)
    const text = n % 7 === 0 ? `the same text ${n % 3}` : `${words.join(' ')} ${n}`
    return { id: `d${n}`, text, lang: n % 4 === 0 ? 'de' : 'en' }
  })
}

const STEPS = [
  { normalize: { html: 'unescape' } },
  { filter: 'length(text) >= 12 and length(text) < 60' },
  'exact-dedup',
  { filter: "lang = 'en'" },
]

interface Expected {
  readonly outcome: 'kept' | 'removed'
  readonly step?: string
  readonly rule?: string
  readonly value?: number | null
  readonly threshold?: number | null
  readonly keeper?: string
  readonly text: string
}

/** What the steps do, by a plain loop. */
function decide(all: readonly Document[]): Map<string, Expected> {
  const first = new Map<string, string>()
  return new Map(
    all.map(({ id, text: raw, lang }) => {
      const text = raw.replaceAll('&amp;', '&')
      const length = text.length
      const removed = (step: string, rule: string, value: number | null, threshold: number | null): Expected => ({
        outcome: 'removed',
        step,
        rule,
        value,
        threshold,
        text,
      })
      if (length < 12) return [id, removed('filter', 'length(text) >= 12', length, 12)]
      if (length >= 60) return [id, removed('filter', 'length(text) < 60', length, 60)]
      const keeper = first.get(text)
      if (keeper !== undefined) return [id, { ...removed('exact-dedup', 'duplicate', null, null), keeper }]
      first.set(text, id)
      if (lang !== 'en') return [id, removed('filter-2', "lang = 'en'", null, null)]
      return [id, { outcome: 'kept', text }]
    }),
  )
}

const lines = (all: readonly object[]): string => all.map((row) => `${JSON.stringify(row)}\n`).join('')

async function run(root: string, pipeline: object, out = join(root, 'run')): Promise<string> {
  await runPipeline(await loadPipeline(pipelineFile(root, pipeline)), { out, workers: 1 })
  return out
}

async function checkAll(out: string, all: readonly Document[], expected: ReadonlyMap<string, Expected>): Promise<void> {
  for (const { id } of all) {
    const lives = await whyRow(out, id)
    expect(lives).toHaveLength(1)
    const [life] = lives
    const want = expected.get(id)!
    expect(life, id).toMatchObject({ id, outcome: want.outcome, text: want.text, notes: [] })
    if (want.outcome === 'kept') {
      expect(life!.removed).toBeUndefined()
      expect(life!.steps.map(({ step }) => step)).toEqual(['normalize', 'filter', 'exact-dedup', 'filter-2'])
    } else {
      const { step, rule, value, threshold } = want
      expect(life!.removed).toMatchObject({ step, rule, value, threshold })
      expect(life!.steps.at(-1)).toMatchObject({ step, outcome: 'removed' })
      expect(life!.steps.at(-1)!.measured.find((one) => one.rule === rule)).toMatchObject({ passes: false })
    }
    expect(life!.keeper?.id).toBe(want.keeper)
    if (want.keeper !== undefined) expect(life!.keeper!.text).toBe(want.text)
    const length = life!.steps[1]?.measured.find(({ rule }) => rule === 'length(text) >= 12')
    expect(length).toMatchObject({ value: want.text.length, threshold: 12, passes: want.text.length >= 12 })
  }
}

describe('every row is told as a plain loop decides', () => {
  const all = documents(60)
  const expected = decide(all)

  test.each(['jsonl', 'parquet', 'arrow'])('%s shards', async (format) => {
    const root = testFolder('why')
    place(join(root, 'data/a.jsonl'), lines(all.slice(0, 25)))
    place(join(root, 'data/b.jsonl.gz'), gzipSync(lines(all.slice(25))))
    const out = await run(root, { source: { paths: 'data' }, steps: STEPS, sink: format })
    await checkAll(out, all, expected)
  })

  test('megatron shards, after a shuffle, with the tokens of each kept row', async () => {
    const root = testFolder('why')
    wordTokenizer(root)
    place(join(root, 'data/a.jsonl'), lines(all))
    const steps = [...STEPS, { shuffle: { seed: 3 } }, { tokenize: { tokenizer: './tokenizer.json' } }]
    const out = await run(root, { source: { paths: 'data' }, steps, sink: 'megatron' })
    await checkAll(out, all, expected)
    const kept = [...expected].find(([, { outcome }]) => outcome === 'kept')!
    const [life] = await whyRow(out, kept[0])
    expect(life!.shard).toMatchObject({ file: 'shards/00000.docs.parquet', tokens: kept[1].text.split(' ').length })
  })

  test.each(['parquet', 'csv'])('%s inputs', async (format) => {
    const root = testFolder('why')
    if (format === 'csv') {
      const quoted = all.map(({ id, text, lang }) => `${id},"${text}",${lang}\n`).join('')
      place(join(root, 'data/a.csv'), `id,text,lang\n${quoted}`)
    } else {
      place(join(root, 'from/a.jsonl'), lines(all))
      const made = await run(
        root,
        { source: { paths: 'from' }, sink: { format: 'parquet', rowsPerShard: 20 } },
        join(root, 'made'),
      )
      renameSync(join(made, 'shards'), join(root, 'data'))
    }
    const out = await run(root, { source: { paths: 'data', columns: ['lang'] }, steps: STEPS, sink: 'parquet' })
    await checkAll(out, all, expected)
  })
})

test('an id that occurs more than once lists them all', async () => {
  const root = testFolder('why')
  const rows = ['a long enough text', 'short', 'another long enough text'].map((text) => ({ id: 'x', text }))
  place(join(root, 'data/a.jsonl'), lines(rows))
  const out = await run(root, { source: { paths: 'data' }, steps: [{ filter: 'length(text) > 9' }], sink: 'jsonl' })
  const lives = await whyRow(out, 'x')
  expect(lives.map(({ outcome, text }) => [outcome, text])).toEqual([
    ['removed', 'short'],
    ['kept', 'a long enough text'],
    ['kept', 'another long enough text'],
  ])
})

test('a row without an id is asked for by its place; so are quarantined records and rows left out', async () => {
  const root = testFolder('why')
  const data = lines([{ text: 'kept text' }, { text: 'no' }])
  place(join(root, 'data/a.jsonl'), `${data}{broken\n${lines([{ text: 'left out' }])}`)
  const where = "text != 'left out'"
  const source = { paths: 'data', where, maxBadShare: 1 }
  const out = await run(root, { source, steps: [{ filter: 'length(text) > 5' }], sink: 'parquet' })
  const second = lines([{ text: 'kept text' }]).length
  const tell = async (at: number): Promise<unknown> => {
    const [life] = await whyRow(out, `data/a.jsonl:${at}`)
    return [life!.outcome, life!.removed?.rule ?? life!.quarantined?.code ?? life!.notes[0]]
  }
  expect(await tell(0)).toEqual(['kept', undefined])
  expect(await tell(second)).toEqual(['removed', 'length(text) > 5'])
  expect(await tell(data.length)).toEqual(['quarantined', 'json-syntax'])
  expect(await tell(data.length + '{broken\n'.length)).toEqual(['left out', 'source.where does not hold for it'])
  await expect(whyRow(out, 'data/a.jsonl:5')).rejects.toMatchObject({ code: 'GM_ROW_MISSING' })
  await expect(whyRow(out, 'nobody')).rejects.toMatchObject({ code: 'GM_ROW_MISSING', exitCode: 2 })
})

test('a piece of a cut row is told by its own id', async () => {
  const root = testFolder('why')
  place(join(root, 'data/a.jsonl'), lines([{ id: 'x', text: 'aaaa bbbb cc' }]))
  const steps = [{ chunk: { size: 5, boundary: 'none' } }, { filter: 'length(text) >= 5' }]
  const out = await run(root, { source: { paths: 'data' }, steps, sink: 'jsonl' })
  const tell = async (id: string): Promise<unknown> => {
    const [life] = await whyRow(out, id)
    return [life!.outcome, life!.text, life!.steps.at(-1)!.measured[0]!.value]
  }
  expect(await tell('x#1')).toEqual(['kept', 'bbbb ', 5])
  expect(await tell('x#2')).toEqual(['removed', 'cc', 2])
  const [whole] = await whyRow(out, 'data/a.jsonl:0')
  expect(whole).toMatchObject({
    outcome: 'left out',
    notes: [expect.stringContaining('ask for one of them, as in x#0')],
  })
})

describe('what became of the input', () => {
  const rows = [
    { id: 'a', text: 'a text that stays' },
    { id: 'b', text: 'a text that stays' },
    { id: 'c', text: 'short' },
  ]
  const steps = [{ filter: 'length(text) > 9' }, 'exact-dedup']

  test('gone: the record is told, and the text when it was kept', async () => {
    const root = testFolder('why')
    place(join(root, 'data/a.jsonl'), lines(rows))
    const pipeline = { source: { paths: 'data' }, steps, sink: 'jsonl' }
    const plain = await run(root, pipeline, join(root, 'plain'))
    const texts = await run(root, { ...pipeline, keepRemovedText: true }, join(root, 'texts'))
    rmSync(join(root, 'data'), { recursive: true })
    const [without] = await whyRow(plain, 'c')
    expect(without).toMatchObject({ outcome: 'removed', removed: { rule: 'length(text) > 9', value: 5, threshold: 9 } })
    expect(without!.text).toBeUndefined()
    expect(without!.notes.join()).toMatch(/the input data\/a\.jsonl .* is gone; its text and what the steps measured/u)
    const [short] = await whyRow(texts, 'c')
    expect(short).toMatchObject({ text: 'short', notes: [expect.stringContaining('is gone; what the steps measured')] })
    const [twin] = await whyRow(texts, 'b')
    expect(twin).toMatchObject({ text: 'a text that stays', keeper: { id: 'a' } })
    const [kept] = await whyRow(plain, 'a')
    expect(kept).toMatchObject({ outcome: 'kept', notes: [expect.stringContaining('is gone')] })
  })

  test('changed: another row is never told for the one that was asked for', async () => {
    const root = testFolder('why')
    const file = place(join(root, 'data/a.jsonl'), lines(rows))
    const out = await run(root, { source: { paths: 'data' }, steps, sink: 'jsonl' })
    utimesSync(file, 1, 1)
    expect((await whyRow(out, 'a'))[0]).toMatchObject({
      text: 'a text that stays',
      notes: ['data/a.jsonl may have changed since the run: its modification time differs'],
    })
    writeFileSync(file, lines([{ id: 'other', text: 'another text altogether' }]))
    const [life] = await whyRow(out, 'a')
    expect(life!.text).toBeUndefined()
    expect(life!.notes.at(-1)).toBe("data/a.jsonl holds the row 'other' at 0 now: it changed since the run")
  })

  test('elsewhere: --pipeline says where', async () => {
    const root = testFolder('why')
    const away = testFolder('away')
    place(join(root, 'data/a.jsonl'), lines(rows))
    const file = pipelineFile(root, { source: { paths: 'data' }, steps, sink: 'jsonl' })
    const out = join(away, 'run')
    await runWell(file, out)
    const blind = await gristmill(['why', out, 'c'])
    expect(blind.code).toBe(0)
    expect(blind.stdout).toContain('is gone')
    const seen = await gristmill(['why', out, 'c', '--pipeline', file])
    expect(seen.stdout).toContain('✗ length(text) > 9: 5, threshold 9')
  })
})

test('keepRemovedText stores the texts, and a pipeline without it has no such column', async () => {
  const root = testFolder('why')
  place(
    join(root, 'data/a.jsonl'),
    lines([
      { id: 'a', text: 'same' },
      { id: 'b', text: 'same' },
      { id: 'c', text: '' },
    ]),
  )
  const pipeline = { source: { paths: 'data' }, steps: [{ filter: 'length(text) > 0' }, 'exact-dedup'], sink: 'jsonl' }
  const out = await run(root, { ...pipeline, keepRemovedText: true })
  expect(manifestOf(out).configuration).toMatchObject({ keepRemovedText: true })
  rmSync(join(root, 'data'), { recursive: true })
  expect((await whyRow(out, 'b'))[0]!.text).toBe('same')
  expect((await whyRow(out, 'c'))[0]!.text).toBe('')
  expect(existsSync(join(out, 'edits'))).toBe(false)
})

test('the command draws steps and the kept text beside the removed one, and prints JSON lines', async () => {
  const root = testFolder('why')
  const texts = ['a first line\nthe second', 'a first line\nthe second']
  place(join(root, 'data/a.jsonl'), lines(texts.map((text, n) => ({ id: `d${n}`, text }))))
  const file = pipelineFile(root, { source: { paths: 'data' }, steps: ['normalize', 'exact-dedup'], sink: 'jsonl' })
  const out = join(root, 'run')
  await runWell(file, out)
  const { stdout, code } = await gristmill(['why', out, 'd1'])
  expect(code).toBe(0)
  expect(stdout.split('\n').map((line) => line.replaceAll(/ {2,}/gu, '  '))).toEqual([
    'd1 data/a.jsonl:46 removed by exact-dedup: duplicate',
    '',
    '  normalize  kept',
    '  exact-dedup  removed',
    '  ✗ duplicate',
    '',
    '  removed: d1  kept: d0 (data/a.jsonl:0)',
    '  a first line  a first line',
    '  the second  the second',
    '',
  ])
  const json = await gristmill(['why', out, 'd1', '--json'])
  expect(JSON.parse(json.stdout)).toMatchObject({ event: 'row', id: 'd1', outcome: 'removed', keeper: { id: 'd0' } })
  const nobody = await gristmill(['why', out, 'd9'])
  expect(nobody).toMatchObject({ code: 2, stdout: '' })
  expect(nobody.stderr).toMatch(/^error GM_ROW_MISSING: .* has no row 'd9'\nhint: /u)
  expect(readFileSync(file, 'utf8')).toContain('exact-dedup')
})
