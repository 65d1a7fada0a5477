/**
 * The suites of `script/test`, in order: what is quick and often wrong comes first.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { countCargo, countCheck, countPytest, countVitest } from './count.mjs'

const MINUTE = 60_000
const PYPROJECT = 'python/pyproject.toml'
const VITEST_REPORT = '.cache/test/vitest.json'

// `napi build` names the target, so naming it here shares every compiled dependency with the addon.
const host = /^host: (.+)$/m.exec(execFileSync('rustc', ['-vV'], { encoding: 'utf8' }))[1]
const cargo = ['--release', '--locked', '--target', host]

/**
 * @typedef {object} Suite
 * @property {string} name
 * @property {readonly string[]} command
 * @property {number} timeoutMs
 * @property {boolean} [onRequest] Runs when it is named and with `--torch`, else not.
 * @property {(ok: boolean, output: string) => import('./count.mjs').Count} count
 */

/** @type {readonly Suite[]} */
export const SUITES = [
  check('oxlint', ['node_modules/.bin/oxlint']),
  check('oxfmt', ['node_modules/.bin/oxfmt', '--check']),
  check('types', ['node_modules/.bin/tsc', '-b']),
  check('types-of-tests', ['node_modules/.bin/tsc', '-p', 'test']),
  check('rustfmt', ['cargo', 'fmt', '--check']),
  check('clippy', ['cargo', 'clippy', ...cargo, '--all-targets', '--', '-D', 'warnings'], 10 * MINUTE),
  {
    name: 'rust',
    command: ['cargo', 'test', ...cargo, '-p', 'gristmill-kernels', '--no-fail-fast'],
    timeoutMs: 10 * MINUTE,
    count: countCargo,
  },
  check('python-types', [
    '.venv/bin/python',
    '-m',
    'mypy',
    '--config-file',
    PYPROJECT,
    'python/gristmill',
    'python/tests',
  ]),
  check('python-stubs', ['.venv/bin/python', '-m', 'mypy.stubtest', 'gristmill._native']),
  {
    name: 'python',
    command: ['.venv/bin/python', '-m', 'pytest', '-c', PYPROJECT, 'python/tests'],
    timeoutMs: 5 * MINUTE,
    count: countPytest,
  },
  {
    // PyTorch and its libraries are several GB: too much to install wherever somebody tests. CI does.
    name: 'python-torch',
    command: ['.venv/bin/python', '-m', 'pytest', '-c', PYPROJECT, 'python/tests_torch'],
    timeoutMs: 5 * MINUTE,
    onRequest: true,
    count: countPytest,
  },
  {
    name: 'typescript',
    command: [
      'node_modules/.bin/vitest',
      'run',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${VITEST_REPORT}`,
    ],
    timeoutMs: 15 * MINUTE,
    count: (ok) => countVitest(ok, takeReport()),
  },
]

function check(name, command, timeoutMs = 2 * MINUTE) {
  return { name, command, timeoutMs, count: countCheck }
}

/** The report vitest wrote, removed so that the next run cannot count it again. */
function takeReport() {
  try {
    const report = JSON.parse(readFileSync(VITEST_REPORT, 'utf8'))
    rmSync(VITEST_REPORT)
    return report
  } catch {
    return undefined
  }
}
