import { parse } from 'yaml'
import { expect, test } from 'vitest'
import { liveBatchBytes } from '../kernels/batch.js'
import { STEPS, findStep } from './index.js'

test.each(STEPS.map((step) => [step.name, step] as const))('the example of %s is a valid step', (name, step) => {
  const [item] = parse(step.example) as [Record<string, unknown>]
  expect(Object.keys(item)).toEqual([name])
  expect(step.config.safeParse(item[name])).toMatchObject({ success: true })
  expect(findStep(name)).toBe(step)
})

test('no batch is left behind', () => expect(liveBatchBytes()).toBe(0))
