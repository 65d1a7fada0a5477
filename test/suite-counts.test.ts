/** The closing line of `script/test` adds up what the runners report; a crash must never read as zero failures. */
import { expect, test } from 'vitest'
import { countCargo, countCheck, countPytest, countVitest } from '../script/suites/count.mjs'

const cargoLine = (passed: number, failed: number, ignored = 0): string =>
  `test result: ${failed > 0 ? 'FAILED' : 'ok'}. ${passed} passed; ${failed} failed; ${ignored} ignored; 0 measured; 0 filtered out; finished in 0.01s`

const file = (status: string, ...tests: readonly string[]): object => ({
  status,
  assertionResults: tests.map((outcome) => ({ status: outcome })),
})

test('a check counts as one', () => {
  expect(countCheck(true)).toEqual({ passed: 1, failed: 0, skipped: 0 })
  expect(countCheck(false)).toEqual({ passed: 0, failed: 1, skipped: 0 })
})

test('cargo: test binaries and doc tests are summed', () => {
  const output = `running 3 tests\n${cargoLine(3, 0)}\n\nDoc-tests\n${cargoLine(2, 1, 4)}\n`
  expect(countCargo(false, output)).toEqual({ passed: 5, failed: 1, skipped: 4 })
})

test('cargo: a compile error, or a binary that died, is a failure', () => {
  expect(countCargo(false, 'error[E0308]: mismatched types')).toEqual({ passed: 0, failed: 1, skipped: 0 })
  expect(countCargo(false, cargoLine(7, 0))).toEqual({ passed: 7, failed: 1, skipped: 0 })
})

test('a runner that ran nothing has failed', () => {
  expect(countCargo(true, '').failed).toBe(1)
  expect(countVitest(true, { testResults: [] }).failed).toBe(1)
})

test('pytest: the last line counts, and errors are failures', () => {
  expect(countPytest(true, '....\n63 passed, 2 skipped, 1 warning in 9.12s\n')).toEqual({
    passed: 63,
    failed: 0,
    skipped: 2,
  })
  const output = 'E  7 passed\n== 1 failed, 60 passed, 2 errors in 65.00s (0:01:05) ==\n'
  expect(countPytest(false, output)).toEqual({ passed: 60, failed: 3, skipped: 0 })
  expect(countPytest(false, 'Fatal Python error: Segmentation fault')).toEqual({ passed: 0, failed: 1, skipped: 0 })
  expect(countPytest(true, 'no tests ran in 0.01s').failed).toBe(1)
})

test('vitest: tests are summed over files', () => {
  const testResults = [file('passed', 'passed', 'skipped', 'todo'), file('failed', 'passed', 'failed')]
  expect(countVitest(false, { testResults })).toEqual({ passed: 2, failed: 1, skipped: 2 })
})

test('vitest: a file that does not load is a failure', () => {
  expect(countVitest(false, { testResults: [file('passed', 'passed'), file('failed')] })).toEqual({
    passed: 1,
    failed: 1,
    skipped: 0,
  })
})

test('vitest: tests of a process that died are failures, not skipped', () => {
  const testResults = [file('passed', 'passed', 'pending', 'pending')]
  expect(countVitest(false, { testResults })).toEqual({ passed: 1, failed: 2, skipped: 0 })
})

test('vitest: no report, or an error outside any test, is a failure', () => {
  expect(countVitest(false, undefined).failed).toBe(1)
  expect(countVitest(false, { testResults: [file('passed', 'passed')] }).failed).toBe(1)
})
