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

/** Sums vitest's JSON report; a file that did not load counts as one failure. @returns {Count} */
export function countVitest(ok, report) {
  if (report === undefined) return crashed(false, { passed: 0, failed: 0, skipped: 0 })
  const filesNotRun = report.testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.every((test) => test.status !== 'failed'),
  )
  return crashed(ok, {
    passed: report.numPassedTests,
    failed: report.numFailedTests + filesNotRun.length,
    skipped: report.numPendingTests + report.numTodoTests,
  })
}

function crashed(ok, count) {
  const nothingRan = count.passed + count.failed === 0
  return count.failed === 0 && (!ok || nothingRan) ? { ...count, failed: 1 } : count
}
