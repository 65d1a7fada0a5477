/**
 * Gives each test file, and what it starts, a temporary directory of its own, which goes when its tests are done.
 *
 * What lies there then besides the folders that tests made for themselves was left by Gristmill or by a tool. That
 * fails the file: on a user's machine nobody would take it away.
 */
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect } from 'vitest'
import { TEST_FOLDER } from './folder.js'

const own = mkdtempSync(join(tmpdir(), 'gristmill-tests-'))
chmodSync(own, 0o711) // A test may run a command as another user, who must reach its folder.
process.env['TMPDIR'] = own

afterAll(() => {
  const left = readdirSync(own).filter((name) => !name.startsWith(TEST_FOLDER))
  rmSync(own, { recursive: true, force: true, maxRetries: 3 })
  expect(left, 'left in the temporary directory').toEqual([])
})
