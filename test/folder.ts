/**
 * Folders for tests. They are made in the temporary directory that `own-temporary.ts` gives each test file, and go
 * with it: no test has to take its own away.
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What names of folders begin with that tests made; anything else in the temporary directory is somebody's litter. */
export const TEST_FOLDER = 'test-'

/** A new, empty folder. */
export function testFolder(name: string): string {
  return mkdtempSync(join(tmpdir(), `${TEST_FOLDER}${name}-`))
}
