import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { addStepMetrics, StepCounters, timed } from './counters.js'

test('time in which the source waits is told from time in which it works', async () => {
  const source = async function* (): AsyncGenerator<string> {
    await sleep(500)
    yield 'after a wait'
    const end = performance.now() + 50
    while (performance.now() < end);
    yield 'after work'
  }
  const counters = new StepCounters('read')
  const found: string[] = []
  for await (const value of timed(source(), counters)) found.push(value)
  expect(found).toEqual(['after a wait', 'after work'])
  // Below what was slept: a busy machine may come late to the sleep.
  expect(counters.waitMs).toBeGreaterThan(50)
  expect(counters.busyMs).toBeGreaterThanOrEqual(50)
  expect(counters.waitMs + counters.busyMs).toBeGreaterThanOrEqual(540)
})

test('rows that were reused are added up, and are no field where there are none', () => {
  const metrics = [0, 2, 3].map((reusedRows) => Object.assign(new StepCounters('tokenize'), { reusedRows }).toMetrics())
  expect(metrics[0]).not.toHaveProperty('reusedRows')
  expect(addStepMetrics(metrics.map((one) => [one]))[0]).toMatchObject({ step: 'tokenize', reusedRows: 5 })
  expect(addStepMetrics([[metrics[0]!], [metrics[0]!]])[0]).not.toHaveProperty('reusedRows')
})
