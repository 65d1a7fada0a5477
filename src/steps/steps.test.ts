import { parse } from 'yaml'
import { expect, test } from 'vitest'
import { liveBatchBytes } from '../kernels/batch.js'
import { steps } from './index.js'

test.each([...steps])('the example of %s is a valid step', (name, step) => {
  const [item] = parse(step.example) as [Record<string, unknown>]
  expect(Object.keys(item)).toEqual([name])
  expect(step.config.safeParse(item[name])).toMatchObject({ success: true })
})

test('no batch is left behind', () => expect(liveBatchBytes()).toBe(0))
