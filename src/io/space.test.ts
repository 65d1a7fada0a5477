import { execFileSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { freeBytes } from './space.js'

test('tells what df tells, for folders that do not exist yet too', async () => {
  const line = execFileSync('df', ['-Pk', tmpdir()], { encoding: 'utf8' }).trim().split('\n').at(-1)!
  const free = Number(line.split(/\s+/)[3]) * 1024
  for (const folder of [tmpdir(), join(tmpdir(), 'not/yet/there')]) {
    expect(Math.abs((await freeBytes(folder)) - free)).toBeLessThan(2 ** 28) // Others write meanwhile.
  }
})

test('an error names the folder', async () => {
  await expect(freeBytes('/dev/null/x')).rejects.toMatchObject({
    code: 'GM_IO',
    message: expect.stringContaining('free space of /dev/null/x'),
  })
})
