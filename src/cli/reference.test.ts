/** The pages that list what the code has: each must list exactly that. `UPDATE_DOCS=1` rewrites the generated one. */
import type { Command } from 'commander'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ordinary } from '../../test/samples/metrics.js'
import { sampleRun } from '../../test/samples/run-directory.js'
import { ERROR_CODES } from '../core/errors.js'
import type { Manifest } from '../engine/manifest.js'
import type { Metrics } from '../observe/metrics.js'
import { createProgram } from './program.js'

const docs = (name: string): string => join(import.meta.dirname, '../../docs', name)
const END_MARK = '<!-- /commands -->'

const read = (name: string): string => readFileSync(docs(name), 'utf8')

test('docs/cli.md has the commands and flags of the program', () => {
  const nothing = (): Promise<number> => Promise.resolve(0)
  const data = { run: nothing, explain: nothing, inspect: nothing, verify: nothing, feed: nothing, feeder: nothing }
  const engine = {
    ...data,
    why: nothing,
    diff: nothing,
    export: nothing,
    cache: nothing,
    steps: nothing,
    init: nothing,
  }
  const planner = { planTrain: nothing, planServe: nothing, planLint: nothing, planScore: nothing, planBatch: nothing }
  const program = createProgram({ ...engine, ...planner }, () => undefined)
  const generated = program
    .createHelp()
    .visibleCommands(program)
    .flatMap((command) => [commandPage(command), ...command.commands.map(commandPage)])
    .join('\n\n')
  const page = read('cli.md')
  const start = page.indexOf('-->\n', page.indexOf('<!-- commands')) + '-->\n'.length
  const wanted = `${page.slice(0, start)}\n${generated}\n\n${END_MARK}\n`
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(docs('cli.md'), wanted)
  expect(read('cli.md')).toBe(wanted)
})

function commandPage(command: Command): string {
  const flags = command.options.map(
    (option) => `| \`${option.flags}\` | ${option.description.replaceAll('|', '\\|')} |`,
  )
  const operands = command.registeredArguments.map((argument) => {
    const name = `${argument.name()}${argument.variadic ? '...' : ''}`
    return `| \`${argument.required ? `<${name}>` : `[${name}]`}\` | ${argument.description} |`
  })
  const rows = [...operands, ...flags]
  const name = nameOf(command)
  return [
    `### ${name}`,
    '',
    command.description(),
    '',
    '```',
    `${name} ${command.usage()}`,
    '```',
    ...(rows.length === 0 ? [] : ['', '| flag | meaning |', '|---|---|', ...rows]),
  ].join('\n')
}

/** With the commands it belongs to. */
function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`
}

test('docs/errors.md has every error code with its exit code and hint, and no other', () => {
  const documented = [...read('errors.md').matchAll(/^### (GM_\w+)\nExit code (\d+)\. Hint: (.*)$/gm)].map(
    ([, code, exit, hint]) => [code, { exit: Number(exit), hint }],
  )
  expect(Object.fromEntries(documented)).toEqual(ERROR_CODES)
  expect(documented).toHaveLength(Object.keys(ERROR_CODES).length)
})

test('docs/run-directory.md has every key of manifest.json and metrics.json, and no other', async () => {
  const { manifest } = await sampleRun([[[1, 2, 3]]])
  // Everything that may be absent is here, so that the types hold this list together.
  const whole: Required<Manifest> = {
    ...manifest,
    configuration: null,
    source: manifest.source!,
    steps: manifest.steps!,
    edits: manifest.edits!,
    tokenizer: { path: 'tokenizer.json', checksum: '0', vocabularySize: 1 },
    truncatedInputs: [{ path: 'a', reason: 'b' }],
    totals: { ...manifest.totals, routed: 1 },
    routed: [{ ...manifest.removed[0]!, step: 'pii' }],
    indexes: [{ step: 'a', kind: 'exact', compares: null, files: manifest.removed }],
    statistics: manifest.removed,
    fitted: [{ name: 'a', bytes: 1, checksum: '0', blocks: '0', step: 'scale' }],
    against: [{ step: 'a', run: 'b', rows: 1, checksum: '0' }],
  }
  const counts = { groups: 1, candidates: 2, largest: 2, compared: 1, overflow: 0 }
  const stages = [{ ...ordinary.stages[0]!, counts }, ...ordinary.stages.slice(1)]
  const metrics: Required<Metrics> = {
    ...ordinary,
    stages,
    edits: ordinary.edits!,
    statistics: ordinary.statistics!,
  }
  const page = read('run-directory.md')
  expect(documentedKeys(page, 'manifest.json')).toEqual(keysOf(whole).sort())
  expect(documentedKeys(page, 'metrics.json')).toEqual(keysOf(metrics).sort())
})

function documentedKeys(page: string, heading: string): string[] {
  const section = page.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? ''
  return [...section.matchAll(/^\| `([^`]+)` \|/gm)].map(([, key]) => key!).sort()
}

/** Paths of a value's leaves; those of all elements of a list. */
function keysOf(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) return [...new Set(value.flatMap((element) => keysOf(element, `${path}[]`)))]
  if (typeof value !== 'object' || value === null) return [path]
  return Object.entries(value).flatMap(([key, inner]) => keysOf(inner, path === '' ? key : `${path}.${key}`))
}
