import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { testFolder } from '../../test/folder.js'
import { runStep } from '../../test/run-step.js'
import type { Columns } from '../kernels/batch.js'
import { urlFilter } from './url-filter.js'

const COLUMNS: Columns = [
  { name: 'text', type: 'string' },
  { name: 'url', type: 'string' },
]

const rowsOf = (urls: readonly (string | null)[]) => urls.map((url) => ({ id: String(url), text: '', url }))

test.each<[string, object, readonly (string | null)[], readonly (string | null)[]]>([
  [
    'domains, with all below them',
    { domains: ['Spam.example', '*.ads.example'] },
    ['http://spam.example/', 'https://a.b.spam.example:8080/x', 'ads.example/x', '//user@SPAM.example'],
    ['http://notspam.example/', 'http://example/spam.example', 'http://a.example/?u=http://spam.example', null, ''],
  ],
  ['whole addresses', { urls: ['http://a.example/x'] }, ['http://a.example/x', 'HTTP://A.example/x'], ['a.example/x']],
  [
    'words between other characters',
    { words: ['casino'] },
    ['http://a.example/best-Casino-1', 'http://casino.example'],
    ['http://a.example/casinos'],
  ],
  [
    'several soft words',
    { softWords: ['free', 'win', 'cash'] },
    ['http://win.example/free'],
    ['http://win.example/', 'http://win.example/win-winner'],
  ],
  [
    'substrings, whatever stands between their letters',
    { substrings: ['badword'] },
    ['http://b-a-d.example/word', 'http://b-a.d/wo_rd', 'http://xBADWORDx.example'].slice(1),
    ['http://bad.example/word'],
  ],
])('rows leave by %s', async (_, config, leave, stay) => {
  const run = await runStep(urlFilter, config, { rows: rowsOf([...leave, ...stay]), columns: COLUMNS })
  expect(run.rows.map(({ url }) => url)).toEqual(stay)
})

test('the first rule is recorded, and annotate counts by all', async () => {
  const config = { domains: ['spam.example'], words: ['casino'], softWords: ['win', 'free'], maxSoftWords: 0 }
  const rows = rowsOf(['http://spam.example/casino', 'http://a.example/casino', 'http://a.example/win'])
  const run = await runStep(urlFilter, config, { rows, columns: COLUMNS })
  expect(run.removed().map(({ rule, value, threshold }) => [rule, value, threshold])).toEqual([
    ['domains', 1, 0],
    ['words', 1, 0],
    ['maxSoftWords', 1, 0],
  ])
  const annotated = await runStep(urlFilter, { ...config, mode: 'annotate' }, { rows, columns: COLUMNS })
  expect(annotated.rows[0]).toMatchObject({ url_filter_domains: 1, url_filter_words: 1, url_filter_rule: 'domains' })
})

test('a list in a file is read with its comments left out, and a broken line is named', async () => {
  const file = join(testFolder('url-filter'), 'domains.txt')
  writeFileSync(file, '# domains\r\nspam.example\r\n\r\n')
  const run = await runStep(urlFilter, { domains: file }, { rows: rowsOf(['http://spam.example']), columns: COLUMNS })
  expect(run.removedRows).toBe(1)
  writeFileSync(file, 'good.example\n0.0.0.0 bad.example\n')
  const broken = runStep(urlFilter, { domains: file }, { rows: [], columns: COLUMNS })
  await expect(broken).rejects.toThrow(
    /option 'domains': .*domains\.txt, line 2: '0\.0\.0\.0 bad\.example' is no domain/u,
  )
})

test.each<[string, object, string]>([
  ['a word without letters', { words: ['--'] }, 'holds no letter or digit'],
  ['an address among the domains', { domains: ['http://a.example/'] }, 'whole addresses belong under urls'],
  ['a missing column', { domains: ['a'], column: 'link' }, "there is no column 'link'"],
])('%s is refused', async (_, config, message) => {
  await expect(runStep(urlFilter, config, { rows: [], columns: COLUMNS })).rejects.toThrow(message)
})

test('no list is refused', () => {
  expect(urlFilter.config.safeParse({}).error?.issues[0]?.message).toContain('there is no list: state domains')
})
