/**
 * Pipelines written in TypeScript: their functions run in the workers, whatever their number.
 */
import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { command, gristmill, isBalanced, manifestOf, outputsOf, runWell, testFolder } from './command.js'
import { jsonLines, manyTasks, place } from './corpora.js'

const REPOSITORY = fileURLToPath(new URL('..', import.meta.url))

const RULES = `import type { Marked } from './types.ts'
const minimum: number = 1200
export const isLong = (text: string): boolean => text.length >= minimum
export function mark(row: { id: string; text: string; score: number }): Marked {
  return { id: row.id, text: row.text.slice(0, 300), grade: row.score >= 500 ? 'high' : 'low', double: row.score * 2 }
}
`
const TYPES = `export interface Marked { id: string; text: string; grade: string; double: number }\n`
const CHAIN = `jsonl<{ id: string; text: string; score: number; lang: string }>('data/**/*.jsonl.gz')
  .filter((row) => isLong(row.text) && row.lang === 'en', { guard: 'off' })
  .map(mark)
  .exactDedup()
  .write(jsonlSink({ compression: 'none' }))`

/** A folder with inputs, the two local modules, and \`gristmill\` installed. */
function project(): string {
  const root = testFolder('module')
  manyTasks(root, 3)
  place(join(root, 'rules.ts'), RULES)
  place(join(root, 'types.ts'), TYPES)
  place(join(root, 'package.json'), '{"type":"module"}')
  mkdirSync(join(root, 'node_modules'))
  symlinkSync(REPOSITORY, join(root, 'node_modules/gristmill'))
  return root
}

test('a module with functions that import another file: one and two workers, the same bytes', async () => {
  const root = project()
  const file = place(
    join(root, 'pipeline.ts'),
    `import { jsonl } from 'gristmill'\nimport { isLong, mark } from './rules.ts'\nconst jsonlSink = jsonl\nexport default ${CHAIN}\n`,
  )
  const [one, two] = [join(root, 'one'), join(root, 'two')]
  await runWell(file, one, ['--workers', '1'])
  await runWell(file, two, ['--workers', '2', '--memory', '512MiB'])
  expect(outputsOf(two)).toEqual(outputsOf(one))
  const { totals, columns } = manifestOf(one)
  expect(totals.removed).toBeGreaterThan(0)
  expect(totals.rowsOut).toBeGreaterThan(0)
  expect(isBalanced(manifestOf(one))).toBe(true)
  expect(columns.map(({ name }) => name)).toEqual(['text', 'grade', 'double'])

  // The functions are part of the run's identity: another threshold is another run.
  place(join(root, 'rules.ts'), RULES.replace('1200', '1300'))
  const changed = await gristmill(['run', file, '--out', one])
  expect(changed).toMatchObject({ code: 2, stderr: expect.stringContaining('GM_RUN_OTHER_CONFIG') as unknown })
}, 120_000)

test('a program that calls run() itself', async () => {
  const root = project()
  const text = `import { jsonl } from 'gristmill'
import { isLong, mark } from './rules.js'
const jsonlSink = jsonl
const pipeline = ${CHAIN.replace(/<\{.*?\}>/u, '')}
const [out, workers] = process.argv.slice(2)
const { manifest } = await pipeline.run({ out, workers: Number(workers) })
console.log(JSON.stringify(manifest.totals))
`
  place(
    join(root, 'rules.js'),
    RULES.replace(/import type.*\n/u, '').replaceAll(
      /: (number|string|boolean|Marked|\{[^}]*\})(?= =>| =|\)| \{)/gu,
      '',
    ),
  )
  const program = place(join(root, 'program.js'), text)
  const totals = []
  for (const workers of ['1', '2']) {
    const { code, stdout, stderr } = await command([process.execPath, program, join(root, `out-${workers}`), workers], {
      cwd: root,
    })
    expect(code, stderr).toBe(0)
    totals.push(JSON.parse(stdout)) // once: the workers do not go on after run()
  }
  expect(totals[1]).toEqual(totals[0])
  expect(outputsOf(join(root, 'out-2'))).toEqual(outputsOf(join(root, 'out-1')))
}, 120_000)

test('a function that throws stops the run and names the row', async () => {
  const root = testFolder('throws')
  place(join(root, 'data/a.jsonl'), jsonLines({ seed: 1, bytes: 2 ** 20 }))
  mkdirSync(join(root, 'node_modules'))
  symlinkSync(REPOSITORY, join(root, 'node_modules/gristmill'))
  const file = place(
    join(root, 'pipeline.mjs'),
    `import { jsonl } from 'gristmill'
export default jsonl('data').filter((row) => { if (row.id === '1-100') throw new TypeError('not this one'); return true }).write(jsonl())
`,
  )
  const { code, stderr } = await gristmill(['run', file, '--out', join(root, 'out')])
  expect(code, stderr).toBe(1)
  expect(stderr).toContain('GM_USER_FUNCTION')
  expect(stderr).toContain('not this one')
  expect(stderr).toContain("row '1-100'")
})
