import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { Columns } from '../kernels/batch.js'
import { FUNCTIONS, parseCondition, parseExpression } from './index.js'

const page = readFileSync(new URL('../../docs/expressions.md', import.meta.url), 'utf8')

/** The columns the page says it uses. */
const COLUMNS: Columns = [
  { name: 'text', type: 'string' },
  { name: 'lang', type: 'string' },
  { name: 'n', type: 'int64' },
  { name: 'score', type: 'float64' },
  { name: 'good', type: 'boolean' },
  { name: 'meta', type: 'json' },
  { name: 'tokens', type: 'tokens' },
]

const examples = [...page.matchAll(/```sql\n(.*?)```/gs)].flatMap(([, block]) => block!.trim().split('\n'))

test.each(examples)('the example %s is a condition', (example) => {
  expect(() => parseCondition(example, COLUMNS, 'docs')).not.toThrow()
})

test('the page lists every function as the table has it', () => {
  const rows = [...page.matchAll(/^\| `(\w+\(.*)` \| (\w+) \| (.*) \|$/gm)].map(([, usage, result, summary]) => ({
    usage,
    result,
    summary,
  }))
  expect(rows).toEqual(FUNCTIONS.map(({ usage, result, summary }) => ({ usage, result, summary })))
})

test('the error that the page shows is the one that is thrown', () => {
  const shown = /```\n(steps\[1\].*?)\n```/s.exec(page)![1]!
  let message = ''
  try {
    parseExpression("length(text) > 3 and lagn = 'en'", COLUMNS, 'steps[1].filter')
  } catch (error) {
    message = (error as Error).message
  }
  expect(message.startsWith(shown)).toBe(true)
})
