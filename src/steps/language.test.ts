import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { LANGUAGE_MODEL, chapters, manyTexts } from '../../test/classifier-texts.js'
import { testFolder } from '../../test/folder.js'
import { askOracle } from '../../test/oracle.js'
import { TEXT, runStep } from '../../test/run-step.js'
import { language } from './language.js'

type Best = readonly (readonly [label: string, score: number])[]

const MODEL = LANGUAGE_MODEL
const text = (texts: readonly (string | null)[]): { rows: { text: string | null }[]; columns: typeof TEXT } => ({
  rows: texts.map((text) => ({ text })),
  columns: TEXT,
})

test('languages and scores are those of fastText', async () => {
  const whole = chapters()
  // A long text shows any other order of summation.
  const long = [whole.join('\n'), whole.join(' 中文 ').repeat(2)]
  // Without white space a text is one word, whose features come in pieces.
  const spaceless = [whole.join(''), manyTexts(400, 3).join('')].map((text) => text.replaceAll(/[\s\0]/gu, ''))
  const texts = [...manyTexts(4000, 7), ...whole, ...long, ...spaceless]
  const expected = askOracle<Best[]>('fasttext_labels.py', { model: MODEL, texts })
  const { rows } = await runStep(language, { model: MODEL, mode: 'annotate' }, { ...text(texts), batchRows: 500 })
  const wrong = rows.flatMap(({ lang, lang_score: score }, at) => {
    const [[label, first] = ['', 0], second] = expected[at]!
    const wordless = /^[\0\t-\r ]*$/.test(texts[at]!)
    if (wordless ? lang === null : lang === label && Math.abs((score as number) - first) < 1e-5) return []
    if (!wordless && second !== undefined && first - second[1] < 1e-5) return []
    return [{ text: texts[at]!.slice(0, 80), got: [lang, score], expected: expected[at] }]
  })
  expect(wrong).toEqual([])
  expect(new Set(rows.map(({ lang }) => lang)).size).toBeGreaterThan(60)
})

test('rows leave by the first rule they fail, with their score', async () => {
  const english = chapters()[3]!
  const run = await runStep(
    language,
    { model: MODEL, keep: ['en', 'zh'] },
    text([english, 'Der Müller mahlt das Korn, und der Bäcker backt das Brot.', 'ok 1 2 3', '', null]),
  )
  expect(run.rows).toEqual([{ id: expect.any(String), text: english, lang: 'en', lang_score: expect.any(Number) }])
  const removed = run.removed()
  expect(removed.map(({ rule, threshold }) => [rule, threshold])).toEqual([
    ['keep', null],
    ['keep', null],
    ['keep', null],
    ['minScore', 0.65],
  ])
  expect(removed[0]).toMatchObject({ step: 'language', position: 1, value: expect.closeTo(1, 1) })
  expect(removed.filter(({ value }) => value === null).map(({ position }) => position)).toEqual([3, 4])
})

test('the result may have other names and replaces columns of that name', async () => {
  const columns = [...TEXT, { name: 'l', type: 'float64' }] as const
  const config = { model: MODEL, mode: 'annotate', labelColumn: 'l', scoreColumn: 'p' }
  const run = await runStep(language, config, { rows: [{ text: 'Guten Morgen, liebe Leute', l: 3 }], columns })
  expect(run.columns).toEqual([...TEXT, { name: 'l', type: 'string' }, { name: 'p', type: 'float64' }])
  expect(run.rows[0]).toMatchObject({ l: 'de' })
})

describe('what cannot work is said before the run', () => {
  const folder = testFolder('language')
  const run = (config: object, columns: typeof TEXT = TEXT): Promise<unknown> =>
    runStep(language, config, { rows: [], columns })
  const file = (name: string, bytes: string | Uint8Array): string => {
    writeFileSync(join(folder, name), bytes)
    return join(folder, name)
  }

  test('a model that is missing', async () => {
    await expect(run({ model: './lid.176.ftz' })).rejects.toMatchObject({
      code: 'GM_CONFIG',
      message: 'steps[0].language: there is no model file ./lid.176.ftz',
    })
  })

  test('a file of another kind, and word vectors', async () => {
    const tokenizer = file('tokenizer.json', '{"version": "1.0"}')
    await expect(run({ model: tokenizer })).rejects.toMatchObject({
      code: 'GM_MODEL',
      message: `model: ${tokenizer}: this is not a fastText model file`,
    })
    const lines = chapters().slice(0, 3)
    const models = { 'vectors.bin': { vectors: true, train: { dim: 4, epoch: 1, bucket: 1000 } } }
    askOracle('fasttext_train.py', { folder, lines, models })
    await expect(run({ model: join(folder, 'vectors.bin') })).rejects.toThrow('a model of word vectors')
  })

  test('a model that is cut short', async () => {
    const whole = readFileSync(MODEL)
    for (const share of [0, 0.1, 0.5, 0.9, 0.999]) {
      const short = file('short.ftz', whole.subarray(0, share * whole.length))
      await expect(run({ model: short })).rejects.toMatchObject({
        code: 'GM_MODEL',
        message: expect.stringContaining('the file is truncated or damaged'),
      })
    }
  })

  test('a language the model does not know, a column that is no text or in the way', async () => {
    await expect(run({ model: MODEL, keep: ['eng'] })).rejects.toMatchObject({
      message: "steps[0].language.keep: the model has no label 'eng'",
      hint: "did you mean 'en'?",
    })
    await expect(run({ model: MODEL, column: 'n' }, [{ name: 'n', type: 'int64' }] as never)).rejects.toThrow(
      "column 'n' is int64, not text",
    )
    await expect(run({ model: MODEL, labelColumn: 'text' })).rejects.toThrow("would replace the column 'text'")
    expect(() => language.config.parse({ model: MODEL, minScore: 65 })).toThrow('Too big')
    expect(() => language.config.parse({ model: MODEL, keep: [] })).toThrow('Too small')
  })

  test('a model that changed since the run was planned', async () => {
    const path = file('lid.ftz', readFileSync(MODEL))
    const place = 'steps[0].language'
    const config = language.config.parse({ model: path })
    const { payload } = await language.prepare(config, { columns: TEXT, baseFolder: folder, place })
    const changed = { ...payload, contentHash: '0'.repeat(32) }
    expect(() => language.open(changed, {} as never)).toThrow('changed since the run was planned')
  })
})
