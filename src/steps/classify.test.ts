import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { chapters, manyTexts } from '../../test/classifier-texts.js'
import { testFolder } from '../../test/folder.js'
import { askOracle } from '../../test/oracle.js'
import { TEXT, runStep } from '../../test/run-step.js'
import { classify } from './classify.js'

type Best = readonly (readonly [label: string, score: number])[]

/** Every way to train: heads, features, quantisation; small dimensions and tables, real files. */
const MODELS: Readonly<Record<string, object>> = {
  'softmax.bin': { train: { dim: 16, epoch: 3, loss: 'softmax', bucket: 5000, minn: 2, maxn: 4, minCount: 2 } },
  'words.bin': { train: { dim: 9, epoch: 3, loss: 'softmax' } },
  'bigrams.bin': { train: { dim: 20, epoch: 3, loss: 'softmax', wordNgrams: 3, bucket: 5000 } },
  'tree.bin': { train: { dim: 7, epoch: 3, loss: 'hs', wordNgrams: 2, bucket: 5000, minn: 3, maxn: 3 } },
  'one-against-all.bin': { train: { dim: 16, epoch: 3, loss: 'ova', bucket: 5000, minn: 1, maxn: 5 } },
  'sampled.bin': { train: { dim: 16, epoch: 3, loss: 'ns', minCount: 3 } },
  'quantised.ftz': {
    train: { dim: 17, epoch: 3, loss: 'softmax', wordNgrams: 2, bucket: 5000 },
    quantize: { dsub: 4 },
  },
  'pruned.ftz': {
    train: { dim: 16, epoch: 3, loss: 'hs', wordNgrams: 2, bucket: 5000, minn: 2, maxn: 3 },
    quantize: { cutoff: 2000, qnorm: true },
  },
  'quantised-output.ftz': {
    train: { dim: 16, epoch: 3, loss: 'softmax', bucket: 5000, minn: 2, maxn: 2 },
    quantize: { cutoff: 1000, qnorm: true, qout: true },
  },
}
/** Quantising the output needs at least 256 labels. */
const LABELS = 300

const folder = testFolder('classify')
beforeAll(() => {
  const paragraphs = chapters().flatMap((chapter) => chapter.split('\n\n').map((text) => text.replaceAll('\n', ' ')))
  const some = paragraphs.filter((_, at) => at % 2 === 0)
  const lines = some.map((text, at) => `__label__l${Math.floor((at % LABELS) ** 2 / LABELS)} ${text}`)
  const rare = Array.from({ length: LABELS }, (_, at) => `__label__l${at} call me number ${at}`)
  askOracle('fasttext_train.py', { folder, lines: [...lines, ...rare], models: MODELS })
})

test.each(Object.keys(MODELS))('labels and scores of %s are those of fastText', async (name) => {
  const model = join(folder, name)
  const texts = [
    ...chapters().slice(0, 40),
    ...manyTexts(600, 11),
    chapters().slice(0, 9).join('').replaceAll(/\s/gu, ''),
    'the whale </s> never read',
    '__label__l1 the __label__new whale',
    'qwertyuiopasdf',
  ]
  const answers = askOracle<Best[]>('fasttext_labels.py', { model, texts })
  const { rows } = await runStep(
    classify,
    { model, mode: 'annotate' },
    { rows: texts.map((text) => ({ text })), columns: TEXT },
  )
  const wrong = rows.flatMap(({ label, score }, at): object[] => {
    const [[expected, first] = ['', 0], second] = answers[at]!
    if (/^[\0\t-\r ]*$/.test(texts[at]!)) return label === null && score === null ? [] : [{ at, label }]
    if (second !== undefined && first - second[1] < 1e-5 && Math.abs((score as number) - first) < 1e-5) return []
    if (label === expected && Math.abs((score as number) - first) < 1e-5) return []
    return [{ text: texts[at]!.slice(0, 60), got: [label, score], expected: answers[at] }]
  })
  expect(wrong).toEqual([])
})

test.each(['softmax.bin', 'tree.bin', 'pruned.ftz'])('the score of a stated label of %s', async (name) => {
  const model = join(folder, name)
  const texts = chapters().slice(0, 40)
  const answers = askOracle<Best[]>('fasttext_labels.py', { model, texts })
  const run = async (label: string): Promise<Record<string, unknown>[]> => {
    const rows = texts.map((text) => ({ text }))
    return (await runStep(classify, { model, label, mode: 'annotate' }, { rows, columns: TEXT })).rows
  }
  const labels = [...new Set(answers.flatMap((best) => best.map(([label]) => label)))].slice(0, 10)
  const wrong: unknown[] = []
  for (const label of labels) {
    for (const [at, row] of (await run(label)).entries()) {
      const told = answers[at]!.find(([one]) => one === label)
      if (told !== undefined && Math.abs((row['score'] as number) - told[1]) > 1e-5) wrong.push([row, told])
    }
  }
  expect(wrong).toEqual([])
})

test('documents leave by the score of a stated label, or by their best label', async () => {
  const rows = chapters().map((text) => ({ text }))
  const model = join(folder, 'words.bin')
  const all = await runStep(classify, { model, label: 'l0', mode: 'annotate' }, { rows, columns: TEXT })
  const scores = all.rows.map(({ score }) => score as number)
  const minScore = scores.toSorted((a, b) => a - b)[70]!
  const run = await runStep(classify, { model, label: 'l0', minScore }, { rows, columns: TEXT })
  expect(run.rows.map(({ score }) => score)).toEqual(scores.filter((score) => score >= minScore))
  expect(run.removed().map(({ rule, value, threshold }) => ({ rule, value, threshold }))).toEqual(
    scores.filter((score) => score < minScore).map((value) => ({ rule: 'minScore', value, threshold: minScore })),
  )
  const best = all.rows[0]!['label']
  const kept = await runStep(classify, { model, keep: [best] }, { rows, columns: TEXT })
  expect(kept.rows.map(({ label }) => label)).toEqual(
    all.rows.filter(({ label }) => label === best).map(({ label }) => label),
  )
})

test('a model that is missing, of the wrong kind, or asked to read numbers', async () => {
  const run = (config: object, columns: typeof TEXT = TEXT): Promise<unknown> =>
    runStep(classify, config, { rows: [], columns })
  await expect(run({ model: './quality.bin' })).rejects.toMatchObject({
    code: 'GM_CONFIG',
    message: 'steps[0].classify: there is no model file ./quality.bin',
  })
  await expect(run({ model: 'package.json' })).rejects.toMatchObject({ code: 'GM_MODEL' })
  const numbers = [{ name: 'text', type: 'float64' }] as const
  await expect(run({ model: join(folder, 'words.bin') }, numbers)).rejects.toMatchObject({ code: 'GM_COLUMN_TYPE' })
})

test('a label the model does not have', async () => {
  const config = { model: join(folder, 'words.bin'), label: 'hq', minScore: 0.5 }
  await expect(runStep(classify, config, { rows: [], columns: TEXT })).rejects.toMatchObject({
    code: 'GM_CONFIG',
    message: "steps[0].classify.label: the model has no label 'hq'",
  })
})
