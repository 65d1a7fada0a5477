/**
 * Runs the examples of one page, in order, in one folder.
 *
 * | block | what is done |
 * |---|---|
 * | `yaml`, first line `# NAME.yaml` | written; run, unless a later `sh` block of the page names it |
 * | `yaml`, unnamed | a part of a pipeline (a list is steps): completed with a source and a sink, and run |
 * | `ts`, first line `// NAME.ts` | written, type-checked; run as a pipeline, unless a later `sh` block names it |
 * | `js`, first line `// NAME.js` | written, type-checked; run by Node, unless a later `sh` block names it |
 * | `sh` | run by bash, stopped by the first command that fails |
 * | `python` | run |
 * | `sql` | each line is an expression: typed and evaluated on rows with tokens |
 * | `json` | parsed |
 * | `text` | output, not run; it must not hold commands |
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { parse } from 'yaml'
import { PYTHON } from '../oracle.js'
import { type Block, type Page, ROOT } from './pages.js'

const TSC = path.join(ROOT, 'node_modules/.bin/tsc')
/** Node, bash and what they call; nothing of the repository's own environment. */
const SYSTEM_PATH = `${path.dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`

/** Runs every block of a page in `folder`; throws at the first that does not do what the page says. */
export function runPage(page: Page, folder: string): void {
  for (const [index, block] of page.blocks.entries()) {
    const later = page.blocks.slice(index + 1).filter(({ language }) => language === 'sh')
    runBlock(block, folder, (name) => later.some(({ code }) => code.includes(name)))
  }
}

function runBlock(block: Block, folder: string, isRunLater: (name: string) => boolean): void {
  const { directive, language, code, place } = block
  if (directive?.kind === 'not run') return
  if (directive?.kind === 'file') {
    write(folder, directive.name, code)
    return
  }
  switch (language) {
    case 'yaml':
      runYaml(block, folder, isRunLater)
      return
    case 'ts':
    case 'js':
      runProgram(block, folder, isRunLater)
      return
    case 'sh':
      execute(block, folder, 'bash', ['-euo', 'pipefail', '-c', code])
      return
    case 'python':
      write(folder, '.block.py', code)
      execute(block, folder, PYTHON, ['.block.py'])
      return
    case 'sql':
      runExpressions(block, folder)
      return
    case 'json':
      JSON.parse(code)
      return
    case '':
    case 'text':
      checkOutput(block)
      return
    default:
      throw new Error(`${place}: a block of '${language}' is never run; see CONTRIBUTING.md`)
  }
}

function runYaml(block: Block, folder: string, isRunLater: (name: string) => boolean): void {
  const name = /^# (?<name>[\w-]+\.yaml)$/mu.exec(block.code.split('\n')[0]!)?.groups?.['name']
  if (name !== undefined) {
    write(folder, name, block.code)
    if (!isRunLater(name)) gristmillRun(block, folder, name)
    return
  }
  const file = `part-${block.place.replaceAll(/\W/gu, '-')}.json`
  write(folder, file, JSON.stringify(completed(parse(block.code), block.place)))
  gristmillRun(block, folder, file)
}

function runExpressions(block: Block, folder: string): void {
  const lines = block.code.split('\n').filter((line) => line.trim() !== '')
  const columns = Object.fromEntries(lines.map((line, index) => [`column_${index}`, line]))
  const steps = [{ tokenize: { tokenizer: './tokenizer.json', keepText: true } }, { map: columns }]
  const file = 'expressions.json'
  write(folder, file, JSON.stringify(completed({ steps }, block.place)))
  gristmillRun(block, folder, file)
}

/** Columns of a table, as examples name them. */
const TABLE = {
  age: 'score * 60 + 18',
  income: 'score * 80000',
  city: 'source',
  note: 'lang',
  grade: "replace(lang, 'en', 'low')",
}

/** A part of a pipeline made whole. */
function completed(part: unknown, place: string): object {
  const given = (Array.isArray(part) ? { steps: part as unknown } : part) as Record<string, unknown>
  const unknown = Object.keys(given).find((key) => !['name', 'source', 'steps', 'sink'].includes(key))
  if (unknown !== undefined) throw new Error(`${place}: a pipeline has no '${unknown}'`)
  const steps = (given['steps'] ?? []) as object[]
  const has = (name: string): boolean =>
    steps.some((step) => (typeof step === 'string' ? step : Object.keys(step)[0]) === name)
  const needsTokens = (has('pack') || JSON.stringify(steps).includes('"by":"tokens"')) && !has('tokenize')
  const added = [
    ...(needsTokens ? [{ tokenize: { tokenizer: './tokenizer.json' } }] : []),
    ...(given['source'] === undefined && ['missing', 'scale', 'encode'].some(has) ? [{ map: TABLE }] : []),
    ...(has('url-filter') ? [{ map: { url: "concat('https://mill.example/', id)" } }] : []),
  ]
  return {
    source: { paths: ['data/*.jsonl'], ...(given['source'] as object | undefined) },
    steps: [...added, ...steps],
    sink: given['sink'] ?? { format: has('pack') ? 'megatron' : 'jsonl' },
  }
}

function runProgram(block: Block, folder: string, isRunLater: (name: string) => boolean): void {
  const { language, code, place } = block
  const name = /^\/\/ (?<name>[\w-]+\.[jt]s)$/u.exec(code.split('\n')[0]!)?.groups?.['name']
  if (name === undefined) throw new Error(`${place}: the first line must name the file, as in // corpus.${language}`)
  write(folder, name, code)
  write(folder, 'tsconfig.check.json', JSON.stringify({ extends: './tsconfig.json', files: [name] }))
  execute({ ...block, directive: undefined }, folder, TSC, ['-p', 'tsconfig.check.json'])
  if (isRunLater(name)) return
  if (language === 'js') execute(block, folder, process.execPath, [name])
  else gristmillRun(block, folder, name)
}

function gristmillRun(block: Block, folder: string, file: string): void {
  execute(block, folder, process.execPath, [
    path.join(ROOT, 'bin/gristmill.js'),
    'run',
    file,
    '--out',
    `runs/${file}`,
    '--workers',
    '2',
  ])
}

/** Runs a command; throws with all it said when it does not end as the page says. */
function execute({ place, directive }: Block, folder: string, command: string, args: readonly string[]): void {
  const result = spawnSync(command, args, {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'], // bash would read its start-up files if its input looked like a remote shell's
    env: { HOME: folder, LANG: 'C.UTF-8', PATH: `${path.join(folder, 'node_modules/.bin')}:${SYSTEM_PATH}` },
    timeout: 120_000,
  })
  const expected = directive?.kind === 'exit' ? directive.code : 0
  if (result.status === expected) return
  const ended = result.error
    ? String(result.error)
    : `exit code ${result.status ?? result.signal}, expected ${expected}`
  throw new Error(`${place}: ${ended}\n${result.stdout}${result.stderr}`)
}

/** Output is shown as it is; a command in it would be an example that nobody runs. Grammar (`<file>`, `[flags]`) is none. */
function checkOutput({ code, place }: Block): void {
  const command = code
    .split('\n')
    .find((line) => /^\$? ?(?:gristmill|script\/|npm |python |pip )/u.test(line) && !/[<[]/u.test(line))
  if (command !== undefined)
    throw new Error(`${place}: '${command}' is a command: make the block sh, so that it is run`)
}

function write(folder: string, name: string, content: string): void {
  const file = path.join(folder, name)
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, `${content}\n`)
}
