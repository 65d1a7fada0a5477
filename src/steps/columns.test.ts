import { expect, test } from 'vitest'
import { runStep } from '../../test/run-step.js'
import type { Columns } from '../kernels/batch.js'
import { drop } from './drop.js'
import { rename } from './rename.js'
import { select } from './select.js'
import type { AnyStep } from './step.js'

const COLUMNS: Columns = [
  { name: 'text', type: 'string' },
  { name: 'lang', type: 'string' },
  { name: 'n', type: 'int64' },
]
const rows = [{ id: 'a', text: 'x', lang: 'en', n: 1 }]

const result = async (step: AnyStep, config: unknown) =>
  (await runStep(step, config, { rows, columns: COLUMNS })).rows[0]

test('select keeps and orders', async () => {
  expect(Object.keys((await result(select, ['n', 'text', 'id', 'n']))!)).toEqual(['id', 'n', 'text'])
})

test('drop leaves the rest', async () => {
  expect(await result(drop, ['n', 'text'])).toEqual({ id: 'a', lang: 'en' })
  expect(await result(drop, 'n')).toEqual({ id: 'a', text: 'x', lang: 'en' })
})

test('rename changes all names at once', async () => {
  expect(await result(rename, { text: 'lang', lang: 'text' })).toEqual({ id: 'a', lang: 'x', text: 'en', n: 1 })
})

test.each<[AnyStep, unknown, string, string]>([
  [select, ['txt'], 'GM_COLUMN_MISSING', "steps[0].select: there is no column 'txt'; did you mean 'text'?"],
  [drop, ['lagn'], 'GM_COLUMN_MISSING', "did you mean 'lang'?"],
  [drop, ['id'], 'GM_CONFIG', "'id' cannot be dropped"],
  [rename, { id: 'x' }, 'GM_CONFIG', "'id' cannot be renamed"],
  [rename, { n: 'id' }, 'GM_CONFIG', "'id' cannot be the new name of a column"],
  [rename, { n: '__file' }, 'GM_CONFIG', "a column cannot be called '__file'"],
  [rename, { n: 'text' }, 'GM_CONFIG', "two columns would be called 'text'"],
  [rename, { nn: 'x' }, 'GM_COLUMN_MISSING', "there is no column 'nn'"],
])('%o of %o is refused with %s', async (step, config, code, message) => {
  await expect(result(step, config)).rejects.toMatchObject({ code, message: expect.stringContaining(message) })
})
