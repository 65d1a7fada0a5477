import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { gristmill, temporaryFolder } from '../../../test/cli.js'
import { PYTHON } from '../../../test/oracle.js'

/** Ten entries of a good 1,000 bytes; then number 3 is asked for again. */
const WRITE = `
import sys
from gristmill import Cache
import numpy as np
with Cache(sys.argv[1], memory=0) as cache:
    for number in [*range(10), 3]:
        cache.get_or_make(number, lambda: {"bytes": np.full(1000, number, np.uint8)})
`

function writeCache(): string {
  if (!existsSync(PYTHON)) throw new Error(`${PYTHON} is missing; run script/setup --dev`)
  const folder = join(temporaryFolder(), 'features')
  execFileSync(PYTHON, ['-c', WRITE, folder])
  return folder
}

async function contentsOf(args: readonly string[]): Promise<Record<string, unknown>> {
  const { exitCode, stdout, stderr } = await gristmill(['cache', ...args, '--json'])
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  return JSON.parse(stdout) as Record<string, unknown>
}

const entriesOf = (folder: string): string[] =>
  readdirSync(join(folder, 'entries'), { recursive: true, withFileTypes: true })
    .filter((item) => item.isFile())
    .map((item) => join(item.parentPath, item.name))

test('cache shows what is there and how often it answered', async () => {
  const folder = writeCache()
  const contents = await contentsOf([folder])
  expect(contents).toMatchObject({ folder, disk: { entries: 10 }, diskHits: 1, misses: 10, corrupt: 0 })
  expect(contents).not.toHaveProperty('shared')
  const { stdout } = await gristmill(['cache', folder])
  expect(stdout).toMatch(/^ {2}disk +10 {2}entries, [\d.]+ kB\n {2}hits +1 {2}/u)
})

test('--verify removes what is damaged, --prune what was unused longest', async () => {
  const folder = writeCache()
  const [first] = entriesOf(folder)
  const bytes = readFileSync(first!)
  bytes[500]! ^= 1
  writeFileSync(first!, bytes)
  expect(await contentsOf([folder, '--verify'])).toMatchObject({ damaged: 1, disk: { entries: 9 }, corrupt: 1 })
  expect(entriesOf(folder)).not.toContain(first)
  const pruned = await contentsOf([folder, '--prune', '4kB'])
  expect(pruned).toMatchObject({ disk: { entries: 3 }, evictions: 6 })
  expect(await contentsOf([folder, '--prune', '0'])).toMatchObject({ disk: { entries: 0, bytes: 0 } })
})

test('a folder that is no cache is left alone', async () => {
  const folder = temporaryFolder()
  const { exitCode, stderr } = await gristmill(['cache', folder, '--prune', '0'])
  expect(exitCode).toBe(2)
  expect(stderr).toContain(`error GM_CONFIG: option 'path': ${folder} is no cache of Gristmill`)
  expect(stderr).toContain('hint: name the folder that a Cache')
  expect(readdirSync(folder)).toEqual([])
})
