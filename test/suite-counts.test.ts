/** The closing line of `script/test` adds up what the runners report; a crash must never read as zero failures. */
import { expect, test } from 'vitest'
import { countCargo, countCheck, countVitest } from '../script/suites/count.mjs'

const cargoLine = (passed: number, failed: number, ignored = 0): string =>
  `test result: ${failed > 0 ? 'FAILED' : 'ok'}. ${passed} passed; ${failed} failed; ${ignored} ignored; 0 measured; 0 filtered out; finished in 0.01s`

const vitestReport = (passed: number, failed: number, files: object[] = []): object => ({
  numPassedTests: passed,
  numFailedTests: failed,
  numPendingTests: 1,
  numTodoTests: 0,
  testResults: files,
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
  expect(countVitest(true, vitestReport(0, 0)).failed).toBe(1)
})

test('vitest: a file that does not load is a failure beside the failed tests', () => {
  const failedTest = { status: 'failed', assertionResults: [{ status: 'passed' }, { status: 'failed' }] }
  const notLoaded = { status: 'failed', assertionResults: [] }
  const report = vitestReport(9, 1, [failedTest, notLoaded])
  expect(countVitest(false, report)).toEqual({ passed: 9, failed: 2, skipped: 1 })
})

test('vitest: no report, or an error outside any test, is a failure', () => {
  expect(countVitest(false, undefined).failed).toBe(1)
  expect(countVitest(false, vitestReport(9, 0)).failed).toBe(1)
})
