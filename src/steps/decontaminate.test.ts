import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { beforeAll, expect, test } from 'vitest'
import { chapters } from '../../test/classifier-texts.js'
import { place } from '../../test/corpora.js'
import { testFolder } from '../../test/folder.js'
import { askOracle } from '../../test/oracle.js'
import { TEXT, runStep, type StepRun } from '../../test/run-step.js'
import { zstdFrame } from '../../test/zstd.js'
import { decontaminate } from './decontaminate.js'

const QUESTION =
  'Which of these is the best evidence that the whale, having rammed the ship twice, meant to sink her with all hands?'
const SHORT = 'Who was the captain of the Pequod?'
const WHOLE = 'What is the name of the white whale?'

const folder = testFolder('decontaminate')
beforeAll(() => {
  const lines = (rows: readonly object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('')
  place(join(folder, 'evals/a.jsonl'), lines([{ id: 'a-1', question: QUESTION, n: 1 }, { question: SHORT }]))
  place(join(folder, 'evals/b.jsonl.gz'), gzipSync(lines([{ question: [WHOLE], choices: ['Ahab', 'Moby Dick'] }])))
  place(
    join(folder, 'evals/c.jsonl.zst'),
    zstdFrame(lines([{ question: chapters()[5]!.slice(0, 400).replace(/\S+$/u, '') }])),
  )
})

function run(config: object, texts: readonly (string | null)[]): Promise<StepRun> {
  const against = [join(folder, 'evals')]
  const rows = texts.map((text) => ({ text }))
  return runStep(decontaminate, { against, fields: ['question'], ...config }, { rows, columns: TEXT })
}

test('documents that hold an n-gram of an item are removed, and the record names the item', async () => {
  const twelve = QUESTION.split(' ').slice(0, 12).join(' ')
  const half = `He asked: ${QUESTION.split(' ').slice(0, 17).join(' ').toUpperCase()} …`
  const texts = ['clean', twelve, half, `what is the name of the WHITE whale`, null, SHORT, ...chapters().slice(4, 7)]
  const { rows, removed } = await run({}, texts)
  expect(rows.map(({ text }) => text)).toEqual(['clean', twelve, null, SHORT, chapters()[4], chapters()[6]])
  const records = removed()
  expect(records.map(({ position, value, keeper }) => [position, value, keeper])).toEqual([
    [2, 5 / 10, 'a-1'],
    [3, 1, expect.stringContaining('b.jsonl.gz:0')],
    [7, 1, expect.stringContaining('c.jsonl.zst:0')],
  ])
  expect(records[0]).toMatchObject({
    step: 'decontaminate',
    rule: expect.stringMatching(/evals\/a\.jsonl$/),
    threshold: 0,
    keeper_file: expect.stringMatching(/evals\/a\.jsonl$/),
    keeper_position: 0,
  })
})

test('a threshold spares documents that hold less of an item', async () => {
  const some = QUESTION.split(' ').slice(0, 14).join(' ')
  expect((await run({ threshold: 0.5 }, [some, QUESTION])).rows.map(({ text }) => text)).toEqual([some])
  expect((await run({ threshold: 0.1 }, [some])).rows).toEqual([])
})

test('fields are joined', async () => {
  const text = 'What is the name of the white whale? Ahab, Moby Dick'
  const config = { against: [join(folder, 'evals/b.jsonl.gz')], fields: ['question', 'choices'], mode: 'annotate' }
  expect((await run(config, [text])).rows[0]).toMatchObject({ contamination: 1, contamination_ngram: text })
  expect((await run(config, [WHOLE])).rows[0]).toMatchObject({ contamination: 0, contamination_ngram: null })
})

test('items are cut out with what is around them', async () => {
  const before = `${'x '.repeat(300)}end. `
  const after = ` ${'y '.repeat(300)}`
  const { rows, edits, removed } = await run({ action: 'cut' }, ['clean', before + QUESTION + after, QUESTION])
  // The last n-gram ends before the question mark.
  const left = `${before.slice(0, -200).trim()}\n${after.slice(199).trim()}`
  expect(rows.map(({ text }) => text)).toEqual(['clean', left])
  expect(edits()).toEqual([expect.objectContaining({ position: 1, count: 1, step: 'decontaminate' })])
  expect(removed()).toEqual([expect.objectContaining({ position: 2, rule: 'pieces', value: 0, threshold: 10 })])
})

test('benchmarks in Parquet', async () => {
  const path = join(folder, 'd.parquet')
  askOracle('write_items.py', { path, rows: [{ question: QUESTION, choices: [WHOLE, SHORT] }] })
  const found = await run({ against: [path], mode: 'annotate' }, [QUESTION])
  expect(found.rows[0]).toMatchObject({ contamination: 1, contamination_item: expect.stringContaining('d.parquet:0') })
  const lists = await run({ against: [path], fields: ['choices'], mode: 'annotate' }, [`${WHOLE} ${SHORT}`])
  expect(lists.rows[0]).toMatchObject({ contamination: 1 })
})

test('items that are too short are reported', async () => {
  const config = decontaminate.config.parse({ against: ['evals/*.jsonl'], fields: ['question'] })
  const context = { columns: TEXT, baseFolder: folder, place: 'steps[0].decontaminate' }
  const { warnings, payload } = await decontaminate.prepare(config, context)
  expect(warnings).toEqual([
    'steps[0].decontaminate: 1 of 2 items are too short to be found: evals/a.jsonl row 1 (7 words)',
  ])
  expect(payload.benchmarks.files.map(({ name }) => name)).toEqual(['evals/a.jsonl'])
})

test('what cannot work is said before the run', async () => {
  const against = (name: string, text: string): { against: string[] } => ({
    against: [place(join(folder, name), text)],
  })
  await expect(run({ against: [join(folder, 'no/*.jsonl')] }, [])).rejects.toMatchObject({ code: 'GM_INPUT_NONE' })
  await expect(run({ against: ['s3://bucket/evals'] }, [])).rejects.toThrow("'s3://bucket/evals' is no local file")
  await expect(run(against('bad/broken.jsonl', '{"question": "a"}\n{'), [])).rejects.toMatchObject({
    code: 'GM_FORMAT',
    message: expect.stringContaining('broken.jsonl: line 2 is no JSON object'),
  })
  await expect(run(against('bad/other.jsonl', '{"prompt": "a"}\n'), [])).rejects.toThrow(
    'no row has text in any of the fields question',
  )
  await expect(run(against('bad/short.jsonl', '{"question": "a b c"}\n'), [])).rejects.toThrow(
    'no item of the benchmarks has enough words',
  )
  await expect(run({ threshold: 1 }, [])).rejects.toThrow('with a threshold of 1 no document is contaminated')
  await expect(run({ column: 'body' }, [])).rejects.toThrow("there is no column 'body'")
  const numbers = { rows: [], columns: [{ name: 'text', type: 'int64' }] as const }
  const config = { against: [join(folder, 'evals')], fields: ['question'] }
  await expect(runStep(decontaminate, config, numbers)).rejects.toThrow("column 'text' is int64, not text")
  expect(() => decontaminate.config.parse({ against: ['a'], fields: [], ngram: 0 })).toThrow('Too small')
})

test('benchmarks that changed since the run was planned', async () => {
  const path = place(join(folder, 'late/e.jsonl'), `${JSON.stringify({ question: QUESTION })}\n`)
  const config = decontaminate.config.parse({ against: [path], fields: ['question'] })
  const { payload } = await decontaminate.prepare(config, { columns: TEXT, baseFolder: folder, place: 'steps[0]' })
  const changed = { ...payload, contentHash: '0'.repeat(32) }
  expect(() => decontaminate.open(changed, {} as never)).toThrow('changed since the run was planned')
})
