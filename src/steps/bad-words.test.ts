import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { testFolder } from '../../test/folder.js'
import { runStep } from '../../test/run-step.js'
import type { Columns } from '../kernels/batch.js'
import { badWords } from './bad-words.js'

const COLUMNS: Columns = [
  { name: 'text', type: 'string' },
  { name: 'lang', type: 'string' },
]

const listFile = (content: string | Uint8Array): string => {
  const file = join(testFolder('bad-words'), 'list.txt')
  writeFileSync(file, content)
  return file
}

test('a row is held against the list of its language', async () => {
  const lists = { en: listFile('# mild\ndarn\n two  words\n'), deu_Latn: ['Mist'], zh: ['笨蛋'] }
  const rows = [
    { id: 'en', text: 'Darn!', lang: 'en' },
    { id: 'none', text: 'darn', lang: null },
    { id: 'zh', text: '你这个笨蛋。darn', lang: 'zh' },
    { id: 'zh-ok', text: 'darn 聪明', lang: 'zh-CN' },
    { id: 'de', text: 'So ein MIST', lang: 'de' },
    { id: 'de-ok', text: 'darn, Misthaufen', lang: 'deu_Latn' },
    { id: 'fr-ok', text: 'darn', lang: 'fr' },
    { id: 'part-ok', text: 'darning, two words', lang: 'en' },
  ]
  const run = await runStep(badWords, { lists }, { rows, columns: COLUMNS })
  expect(run.rows.map(({ id }) => id)).toEqual(['zh-ok', 'de-ok', 'fr-ok', 'part-ok'])
  expect(run.removed()[0]).toMatchObject({ id: 'en', rule: 'maxMatches', value: 1, threshold: 0 })
})

test('the list * is for all rows, and a few words may be allowed', async () => {
  const rows = ['darn', 'darn heck', 'heck', ''].map((text) => ({ text, lang: 'fr' }))
  const config = { lists: { '*': ['heck', 'darn'], en: ['x'] }, mode: 'annotate', maxMatches: 1 }
  const run = await runStep(badWords, config, { rows, columns: COLUMNS })
  expect(run.rows.map((row) => [row['bad_words_matches'], row['bad_words_rule']])).toEqual([
    [1, null],
    [2, 'maxMatches'],
    [1, null],
    [0, null],
  ])
})

test.each<[string, object, string, RegExp]>([
  ['no file', { en: './nowhere.txt' }, 'GM_CONFIG', /lists\.en: there is no file \.\/nowhere\.txt/u],
  ['a list that is not UTF-8', { en: listFile(Buffer.from('ok\n\xff', 'latin1')) }, 'GM_CONFIG', /line 2: not UTF-8/u],
  ['a binary file', { en: listFile('a\n\u0000b') }, 'GM_CONFIG', /line 2: the entry holds a control character/u],
  ['a very long line', { en: listFile(`a\n${'b'.repeat(5000)}`) }, 'GM_CONFIG', /line 2: .*longer than 4096/u],
])('%s is refused', async (_, lists, code, message) => {
  const run = runStep(badWords, { lists }, { rows: [], columns: COLUMNS })
  await expect(run).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
  await expect(run).rejects.toThrow('steps[0].bad-words')
})

test('no lists at all are refused', () => {
  expect(badWords.config.safeParse({ lists: {} }).error?.issues[0]?.message).toBe('there is no list')
})

test('the words of a list are part of what a task is named for', async () => {
  const prepare = (file: string) =>
    badWords.prepare(badWords.config.parse({ lists: { en: file } }), {
      columns: COLUMNS,
      baseFolder: '/',
      place: 'steps[0].bad-words',
    })
  const file = listFile('a')
  const before = await prepare(file)
  writeFileSync(file, 'b')
  expect((await prepare(file)).identity).not.toEqual(before.identity)
})
