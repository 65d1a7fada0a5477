/**
 * What the filters share: limits by language, and texts, columns and options that nobody expects.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { TEXT, runStep } from '../../test/run-step.js'
import { liveBatchBytes } from '../kernels/batch.js'
import { batchFromRows } from '../kernels/columns.js'
import { steps } from './index.js'
import type { MapStep, StepContext } from './step.js'

/** Every filter, with what it must be told. */
const FILTERS: Readonly<Record<string, object>> = {
  'gopher-repetition': {},
  'gopher-quality': {},
  'c4-quality': {},
  'fineweb-quality': {},
  'line-filter': {},
  'bad-words': { lists: { '*': ['darn'] } },
  'url-filter': { domains: ['a.example'], column: 'text' },
}
const NAMES = Object.keys(FILTERS)
const LANG = [...TEXT, { name: 'lang', type: 'string' }] as const

const ODD_TEXTS = [
  null,
  '',
  '\n\n\n',
  ' \t\u00a0\u3000',
  '!!! ??? ...',
  '\u0000\u0001',
  '👩‍👩‍👧‍👦'.repeat(50),
  'e\u0301\u200d\u200b'.repeat(50),
  '\u0301',
  'مرحبا بالعالم، كيف حالك اليوم؟ '.repeat(20),
  'שלום עולם, מה שלומך היום? '.repeat(20),
  '\u202eabc\u202c def',
  'ꙮ🜁⌘ ⁂ ⸮',
  'a'.repeat(100_000),
  'a '.repeat(50_000),
  '\r\n\u2028\u0085x',
]

describe.each(NAMES)('%s', (name) => {
  const step = steps.get(name)!
  const config = FILTERS[name]!
  const prefix = `${name.replaceAll('-', '_')}_`

  test('every odd text stays or has a record', async () => {
    const rows = ODD_TEXTS.map((text, at) => ({ id: String(at), text }))
    const run = await runStep(step, config, { rows, columns: TEXT })
    expect(run.rows.length + run.removedRows).toBe(rows.length)
  })

  test('annotate keeps every row as it is and adds the planned columns', async () => {
    const rows = ODD_TEXTS.map((text, at) => ({ id: String(at), text }))
    const run = await runStep(step, { ...config, mode: 'annotate' }, { rows, columns: TEXT })
    expect(run.rows.map(({ id, text }) => ({ id, text }))).toEqual(rows)
    expect(run.columns.slice(1).every(({ name: column }) => column.startsWith(prefix))).toBe(true)
  })

  test('what is measured of a row for `why` is what it was judged by', async () => {
    const rows = ODD_TEXTS.map((text, at) => ({ id: String(at), text }))
    const run = await runStep(step, config, { rows, columns: TEXT })
    const records = new Map(run.removedRows > 0 ? run.removed().map((record) => [record['id'], record]) : [])
    const unused = (): never => {
      throw new Error('a filter needs it not')
    }
    const sample = batchFromRows([], TEXT)
    const context = { columns: TEXT, baseFolder: process.cwd(), place: name, sample, userFunction: unused }
    const { payload } = await step.prepare(step.config.parse(config), context)
    for (const row of rows) {
      using batch = batchFromRows([row], TEXT)
      const measured = (step as MapStep<unknown, unknown>).measure!(payload, batch, {} as StepContext)
      const failed = measured.filter(({ passes }) => passes === false)
      const record = records.get(row.id)
      if (!record) expect(failed).toEqual([])
      else {
        const { rule, value, threshold } = record
        expect(failed).toContainEqual({ rule, value, threshold, passes: false })
      }
    }
    sample.dispose()
  })

  test('rows of random text are all accounted for', () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.string({ unit: 'binary', maxLength: 40 }), { maxLength: 8 }), async (texts) => {
        const run = await runStep(step, config, { rows: texts.map((text) => ({ text })), columns: TEXT })
        expect(run.rows.length + run.removedRows).toBe(texts.length)
      }),
      { numRuns: 20 },
    ))

  test('a column of numbers is refused', async () => {
    const run = runStep(step, config, { rows: [], columns: [{ name: 'text', type: 'int64' }] })
    await expect(run).rejects.toMatchObject({ code: 'GM_COLUMN_TYPE', message: expect.stringContaining(`.${name}: `) })
  })

  test('a column that is not there is refused', async () => {
    const run = runStep(step, { ...config, column: 'txt' }, { rows: [], columns: TEXT })
    await expect(run).rejects.toMatchObject({
      code: 'GM_COLUMN_MISSING',
      message: expect.stringMatching(/did you mean 'text'/u),
    })
  })

  test('unknown options are refused', () => {
    expect(step.config.safeParse({ ...config, nonsense: 1 }).success).toBe(false)
    expect(step.config.safeParse({ ...config, mode: 'report' }).success).toBe(false)
  })
})

test.each([
  [{ minWords: 10, maxWords: 5 }, 'minWords 10 is above maxWords 5'],
  [{ minMeanWordLength: 9, maxMeanWordLength: 8 }, 'minMeanWordLength 9 is above maxMeanWordLength 8'],
  [{ minAlphabeticWords: 80 }, 'minAlphabeticWords 80 is a share above 1'],
  [{ minStopWords: 3, stopWords: ['and', 'the', 'and'] }, 'minStopWords 3 is more than there are stopWords (2'],
])('gopher-quality refuses limits that contradict: %o', async (config, message) => {
  const run = runStep(steps.get('gopher-quality')!, config, { rows: [], columns: TEXT })
  await expect(run).rejects.toMatchObject({ code: 'GM_CONFIG', message: expect.stringContaining(message) })
})

test('fineweb-quality refuses a share above 1, and terminal punctuation of no characters', async () => {
  const step = steps.get('fineweb-quality')!
  const run = runStep(step, { minTerminalLines: 12 }, { rows: [], columns: TEXT })
  await expect(run).rejects.toThrow('minTerminalLines 12 is a share above 1')
  expect(step.config.safeParse({ terminalPunctuation: '' }).success).toBe(false)
})

test('a document of 100 MB goes through every filter', { timeout: 120_000 }, async () => {
  const line = 'The miller lifts the sluice, and the water that had waited all night falls on the wheel.\n'
  const text = line.repeat(Math.ceil(100_000_000 / line.length))
  for (const name of NAMES) {
    const run = await runStep(steps.get(name)!, FILTERS[name], { rows: [{ text }], columns: TEXT, sampleRows: 0 })
    expect(run.rows.length + run.removedRows).toBe(1)
  }
})

const CHINESE =
  '今年春天,村里的磨坊重新开张了。老人说,这座磨坊是在一百多年以前建成的,后来因为没有人会修,就一直关着。' +
  '为了让孩子们知道面粉是从哪里来的,大家和木匠一起把水车修好,也把旧的石磨洗干净。现在每到月末,' +
  '附近的人都会到这里来,把自己种的麦子磨成面粉。有的人住得很远,早上天还没有亮就出门,中午才到。他们' +
  '坐在河边等,一边说话一边看水车慢慢地转。磨坊的主人不收钱,只请每个人留下一小袋面粉,冬天做成面包送给' +
  '镇上的学校。这件事让很多人想起从前的日子,也让年轻人明白,一样东西被人用着,它就不会老。'
const ENGLISH = [
  'The miller lifts the sluice and the water that had waited all night falls on the wheel.',
  'She has kept the mill for thirty years, and before her it was kept by an aunt who never wrote anything down.',
  'What is known of those days is known from the ledger of the church, which bought its flour here.',
  'Travellers still come to see the stones turn, though they are told to leave with bread and not with questions.',
].join(' ')

describe('limits by language', () => {
  const quality = steps.get('gopher-quality')!

  test('Chinese documents stay, with or without a language', async () => {
    const rows = ['zh', 'cmn_Hani', 'zh-TW', null].map((lang) => ({ text: CHINESE, lang }))
    const run = await runStep(quality, {}, { rows, columns: LANG })
    expect(run.removedRows).toBe(0)
    const without = await runStep(quality, {}, { rows: [{ text: CHINESE }], columns: TEXT })
    expect(without.removedRows).toBe(0)
    for (const name of ['gopher-repetition', 'fineweb-quality', 'line-filter']) {
      const other = await runStep(
        steps.get(name)!,
        {},
        { rows: [...rows, { text: CHINESE, lang: 'xx' }], columns: LANG },
      )
      expect([name, other.removedRows]).toEqual([name, 0])
    }
  })

  test('English limits judge English, whatever is unlabelled in Latin script, and what is called English', async () => {
    const rows = [
      { id: 'en', text: ENGLISH, lang: 'en' },
      { id: 'none', text: ENGLISH, lang: null },
      { id: 'latin', text: 'lorem '.repeat(60), lang: null },
      { id: 'wrong', text: CHINESE, lang: 'en' },
    ]
    const run = await runStep(quality, {}, { rows, columns: LANG })
    expect(run.rows.map(({ id }) => id)).toEqual(['en', 'none'])
    expect(run.removed()).toMatchObject([
      { id: 'latin', rule: 'minStopWords', value: 0, threshold: 2 },
      { id: 'wrong', rule: 'minMeanWordLength', threshold: 3 },
    ])
  })

  test('thresholds are those published for the language, unless they are stated', async () => {
    const long = Array.from({ length: 60 }, (_, at) => `Donaudampfschifffahrt${at}`).join(' ')
    const rows = [{ text: long, lang: 'de' }]
    const published = await runStep(quality, {}, { rows, columns: LANG })
    expect(published.removed()).toMatchObject([{ rule: 'maxMeanWordLength', threshold: 15 }])
    const stated = await runStep(quality, { maxMeanWordLength: 12 }, { rows, columns: LANG })
    expect(stated.removed()).toMatchObject([{ rule: 'maxMeanWordLength', threshold: 12 }])
    const fixed = await runStep(quality, { language: 'en' }, { rows, columns: LANG })
    expect(fixed.removed()).toMatchObject([{ rule: 'maxMeanWordLength', threshold: 10 }])
  })

  test('a language of its own name in another column is found', async () => {
    const columns = [...TEXT, { name: 'language', type: 'string' }] as const
    const rows = [{ text: ENGLISH, language: 'de' }]
    const run = await runStep(quality, { languageColumn: 'language' }, { rows, columns })
    expect(run.removed()).toMatchObject([{ rule: 'minStopWords', value: 0 }])
    await expect(runStep(quality, { languageColumn: 'langauge' }, { rows, columns })).rejects.toThrow(
      "did you mean 'language'?",
    )
  })
})

test('no batch is left behind', () => expect(liveBatchBytes()).toBe(0))
