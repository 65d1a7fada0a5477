import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { mapConcurrent } from './concurrent.js'

test('keeps the order of the items and stays within the limit', async () => {
  let running = 0
  let most = 0
  const squares = await mapConcurrent([5, 1, 4, 2, 3], 2, async (n) => {
    most = Math.max(most, ++running)
    await setTimeout(n)
    running--
    return n * n
  })
  expect(squares).toEqual([25, 1, 16, 4, 9])
  expect(most).toBe(2)
  expect(await mapConcurrent([], 2, async (n) => n)).toEqual([])
})

test('rejects with the failure, starts nothing more and waits for what runs', async () => {
  const log: string[] = []
  const mapping = mapConcurrent(['slow', 'bad', 'never'], 2, async (name) => {
    log.push(`start ${name}`)
    await setTimeout(name === 'slow' ? 20 : 1)
    if (name === 'bad') throw new Error('bad')
    log.push(`end ${name}`)
  })
  await expect(mapping).rejects.toThrow('bad')
  expect(log).toEqual(['start slow', 'start bad', 'end slow'])
})
