/**
 * Runs the suites (all, or those named), prints a summary and, last, one line `N passed, N failed`.
 */
import { performance } from 'node:perf_hooks'
import { runCommand } from './run-command.mjs'
import { SUITES } from './suites.mjs'

const all = process.argv[2] === '--torch'
const wanted = process.argv.slice(all ? 3 : 2)
const unknown = wanted.filter((name) => SUITES.every((suite) => suite.name !== name))
if (unknown.length > 0) {
  console.error(`script/test: no suite '${unknown[0]}'; there are: ${SUITES.map((suite) => suite.name).join(', ')}`)
  process.exit(2)
}

const results = []
for (const suite of SUITES.filter(({ name, onRequest }) =>
  wanted.length === 0 ? all || !onRequest : wanted.includes(name),
)) {
  console.log(`\n==> ${suite.name}: ${suite.command.join(' ')}`)
  const started = performance.now()
  const { ok, output, note } = await runCommand(suite.command[0], suite.command.slice(1), suite.timeoutMs)
  const seconds = (performance.now() - started) / 1000
  results.push({ name: suite.name, seconds, note, ...suite.count(ok, output) })
}

console.log(
  `\n${'suite'.padEnd(16)}${['passed', 'failed', 'skipped', 'seconds'].map((head) => head.padStart(9)).join('')}`,
)
for (const { name, passed, failed, skipped, seconds, note } of results) {
  const figures = [passed, failed, skipped, seconds.toFixed(1)].map((figure) => String(figure).padStart(9)).join('')
  console.log(`${name.padEnd(16)}${figures}${note === '' ? '' : `  ${note}`}`)
}

const sum = (key) => results.reduce((total, result) => total + result[key], 0)
console.log(`${sum('passed')} passed, ${sum('failed')} failed`)
process.exitCode = sum('failed') === 0 ? 0 : 1
