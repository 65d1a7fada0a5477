/**
 * The layer table of `.oxlintrc.json` is a rule that fails: imports that point up are refused, those that
 * point down are not, and no folder of `src` is left out of the table.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const oxlint = join(root, 'node_modules/.bin/oxlint')

/** An importing file below `src`, the statement, and whether the rule lets it pass. */
import { testFolder } from './folder.js'
const CASES: readonly [from: string, statement: string, allowed: boolean][] = [
  ['core/a.ts', `import { x } from '../kernels/b.js'`, false],
  ['core/a.ts', `import type { X } from '../io/store.js'`, false],
  ['core/a.ts', `import { x } from './b.js'`, true],
  ['core/a.ts', `import { x } from '../../native/index.js'`, false],
  ['kernels/a.ts', `import { x } from '../../native/index.js'`, true],
  ['kernels/a.ts', `import { x } from '../core/b.js'`, true],
  ['kernels/a.ts', `import { x } from '../io/b.js'`, false],
  ['io/a.ts', `import { x } from '../kernels/b.js'`, true],
  ['io/deep/a.ts', `import { x } from '../../engine/b.js'`, false],
  ['io/a.ts', `import { x } from '../expressions/b.js'`, false],
  ['expressions/a.ts', `import { x } from '../kernels/b.js'`, true],
  ['expressions/a.ts', `import { x } from '../io/b.js'`, false],
  ['engine/a.ts', `import { x } from '../expressions/b.js'`, true],
  ['engine/a.ts', `import { x } from '../io/b.js'`, true],
  ['engine/a.ts', `import type { X } from '../steps/step.js'`, true],
  ['engine/a.ts', `import { x } from '../steps/step.js'`, false],
  ['engine/a.ts', `import { x } from '../steps/index.js'`, false],
  ['engine/a.ts', `import type { X } from '../sources/jsonl.js'`, false],
  ['engine/a.ts', `import type { X } from '../observe/metrics.js'`, true],
  ['engine/deep/a.ts', `import { x } from '../../observe/report.js'`, false],
  ['engine/a.ts', `import { x } from '../../native/index.js'`, false],
  ['engine/a.ts', `import type { X } from '../../native/index.js'`, true],
  ['observe/a.ts', `import { x } from '../engine/b.js'`, true],
  ['observe/a.ts', `import { x } from '../steps/b.js'`, false],
  ['observe/a.ts', `import type { X } from '../steps/b.js'`, false],
  ['observe/a.ts', `import type { X } from '../steps/step.js'`, true],
  ['observe/a.ts', `import { x } from '../steps/step.js'`, false],
  ['observe/deep/a.ts', `import type { X } from '../../sources/source.js'`, true],
  ['observe/deep/a.ts', `import { x } from '../../pipeline/b.js'`, false],
  ['steps/a.ts', `import { x } from '../io/b.js'`, true],
  ['steps/a.ts', `import { x } from '../sources/b.js'`, false],
  ['sources/a.ts', `import { x } from '../sinks/b.js'`, false],
  ['sources/a.ts', `import { x } from '../io/b.js'`, true],
  ['sinks/a.ts', `import { x } from '../cli/b.js'`, false],
  ['sinks/a.ts', `import { x } from '../kernels/b.js'`, true],
  ['steps/a.ts', `import { x } from '../pipeline/b.js'`, false],
  ['engine/a.ts', `import type { X } from '../pipeline/b.js'`, false],
  ['pipeline/a.ts', `import { x } from '../steps/b.js'`, true],
  ['pipeline/a.ts', `import { x } from '../cli/b.js'`, false],
  ['index.ts', `import { x } from './steps/index.js'`, true],
  ['index.ts', `import { x } from './cli/main.js'`, false],
  ['index.ts', `import { x } from '../native/index.js'`, false],
  ['cli/a.ts', `import { x } from '../engine/b.js'`, true],
  ['cli/a.ts', `import { x } from '../../native/index.js'`, false],
  ['planner/a.ts', `import { x } from '../core/b.js'`, true],
  ['planner/deep/a.ts', `import { x } from '../b.js'`, true],
  ['planner/a.ts', `import { x } from '../kernels/b.js'`, false],
  ['planner/deep/a.ts', `import type { X } from '../../engine/b.js'`, false],
  ['planner/a.ts', `import type { X } from '../../native/index.js'`, false],
  ['planner/a.ts', `import { x } from '../index.js'`, false],
  ['kernels/a.ts', `import { x } from '../planner/b.js'`, false],
  ['cli/a.ts', `import { x } from '../planner/b.js'`, true],
  ['core/a.test.ts', `import { x } from '../engine/b.js'`, true],
]

interface Diagnostic {
  readonly code: string
  readonly filename: string
}

const folder = testFolder('layers')

beforeAll(() => {
  cpSync(join(root, '.oxlintrc.json'), join(folder, '.oxlintrc.json'))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules')) // the type-aware linter is looked up there
})

test('an import that points up fails, one that points down passes', () => {
  // One file a case, so that a finding names its case.
  const files = CASES.map(([from, statement], index) => {
    const file = join(
      'src',
      from.replace(/[^/]+$/, (name) => `c${index}-${name}`),
    )
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    writeFileSync(join(folder, file), `${statement}\nexport type Use = typeof x | X\n`)
    return file
  })
  const findings = lint()
  const refused = new Set(findings.map((finding) => finding.filename))
  const got = CASES.map(([from, statement], index) => [from, statement, !refused.has(files[index]!)])
  expect(got).toEqual(CASES)
})

test('every folder of src is in the layer table', () => {
  const text = readFileSync(join(root, '.oxlintrc.json'), 'utf8').replaceAll(/(^|\s)\/\/( .*)?$/gm, '')
  const { overrides } = JSON.parse(text) as { overrides: { files: string[] }[] }
  const table = new Set(overrides.flatMap((override) => override.files))
  const folders = readdirSync(join(root, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory())
  const missing = folders.map(({ name }) => `src/${name}/**`).filter((glob) => !table.has(glob))
  expect(missing, 'add the folder to the layers in .oxlintrc.json').toEqual([])
})

function lint(): Diagnostic[] {
  const { stdout, stderr } = spawnSync(oxlint, ['--format=json', 'src'], { cwd: folder, encoding: 'utf8' })
  expect(stderr).toBe('')
  const report = JSON.parse(stdout) as { diagnostics: Diagnostic[] }
  return report.diagnostics.filter(({ code }) => code.includes('no-restricted-imports'))
}
