/**
 * Turns what a test runner reported into passed and failed. A suite that crashed, or ran nothing, has failed:
 * it never counts as zero failures.
 */

/** @typedef {{ passed: number, failed: number, skipped: number }} Count */

/** A check that passes or fails as a whole. @returns {Count} */
export function countCheck(ok) {
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 }
}

/** Sums the `test result:` lines of `cargo test`, one a test binary. @returns {Count} */
export function countCargo(ok, output) {
  const count = { passed: 0, failed: 0, skipped: 0 }
  for (const [, passed, failed, ignored] of output.matchAll(
    /^test result: .*?(\d+) passed; (\d+) failed; (\d+) ignored/gm,
  )) {
    count.passed += Number(passed)
    count.failed += Number(failed)
    count.skipped += Number(ignored)
  }
  return crashed(ok, count)
}

/**
 * Sums the tests of vitest's JSON report. A test that never ended (its process died) and a file that did not
 * load count as failures.
 *
 * @param {boolean} ok
 * @param {any} report
 * @returns {Count}
 */
export function countVitest(ok, report) {
  const count = { passed: 0, failed: 0, skipped: 0 }
  for (const { status, assertionResults } of report?.testResults ?? []) {
    const failedBefore = count.failed
    for (const test of assertionResults) count[OUTCOMES[test.status] ?? 'failed'] += 1
    if (status === 'failed' && count.failed === failedBefore) count.failed += 1
  }
  return crashed(ok, count)
}

/** Reads the last line of pytest, as in `3 failed, 60 passed, 1 skipped in 9.12s`. @returns {Count} */
export function countPytest(ok, output) {
  const summary =
    output
      .trimEnd()
      .split('\n')
      .findLast((line) => / in \d+\.\d+s/.test(line)) ?? ''
  const number = (word) => Number(new RegExp(`(\\d+) ${word}`).exec(summary)?.[1] ?? 0)
  return crashed(ok, {
    passed: number('passed') + number('xfailed'),
    failed: number('failed') + number('error') + number('xpassed'),
    skipped: number('skipped'),
  })
}

/** What vitest calls a test that is over; `pending` is one that was still running or never began. */
const OUTCOMES = { passed: 'passed', skipped: 'skipped', todo: 'skipped', disabled: 'skipped' }

function crashed(ok, count) {
  const nothingRan = count.passed + count.failed === 0
  return count.failed === 0 && (!ok || nothingRan) ? { ...count, failed: 1 } : count
}
