/**
 * Private data in a whole run: wherever one looks in what a run leaves behind, and in what it says, there is the
 * kind and the place, never the value; but for the rows that are routed, which are where they were sent.
 */
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  type Ended,
  gristmill,
  isBalanced,
  manifestOf,
  outputsOf,
  pipelineFile,
  runWell,
  testFolder,
} from './command.js'
import { place } from './corpora.js'
import { oracle } from './oracle.js'

const SECRETS = {
  email: 'anna.schmidt@uni-koeln.de',
  phone: '+49 221 4701234',
  ip: '8.8.4.4',
  'credit-card': '4539 1488 0343 6467',
  iban: 'DE89370400440532013000',
  'resident-id': '11010519491231002X',
  'api-key': 'ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8',
}
const CLEAN = 'Nothing in this one is private.'
const rows = [
  ...Object.values(SECRETS).map((secret) => `Of one kind: ${secret}, and no other.`),
  `All: ${Object.values(SECRETS).join('; ')}.`,
  CLEAN,
]
// Each row twice: a deduplication keeps rows, and their keys, in scratch files.
const lines = [...rows, ...rows].map((text, n) => `${JSON.stringify({ id: `d${n}`, text })}\n`)
const SINK = { format: 'parquet' }

/** Runs over the rows, then the other commands given; the steps before and after `pii` end stages. */
async function runOver(pii: object, ...commands: readonly string[]): Promise<{ out: string; said: string }> {
  const root = testFolder('private')
  for (const part of [0, 1]) place(join(root, `in/${part}.jsonl`), lines.slice(part * 9, part * 9 + 9).join(''))
  const steps = ['exact-dedup', { pii }, 'shuffle']
  const file = pipelineFile(root, { source: { paths: ['in'] }, steps, sink: SINK })
  const out = join(root, 'out')
  const ran = await runWell(file, out, ['--json', '--workers', '2'])
  const looked = [ran, ...(await Promise.all(commands.map((name) => gristmill([name, out]))))]
  expect(looked.map(({ code }) => code)).toEqual(looked.map(() => 0))
  expect(isBalanced(manifestOf(out))).toBe(true)
  return { out, said: looked.map((one: Ended) => one.stdout + one.stderr).join('') }
}

/** Files of a run that hold one of the secrets, as they are or as rows of Parquet. */
function leaks(out: string): string[] {
  const all = readdirSync(out, { recursive: true, encoding: 'utf8' })
  const files = all.filter((name) => statSync(join(out, name)).isFile()).toSorted()
  const tables = files.filter((name) => name.endsWith('.parquet'))
  const rowsIn = new Map(rowsOf(out, tables).map((some, at) => [tables[at]!, JSON.stringify(some)]))
  const holds = (text = ''): boolean => Object.values(SECRETS).some((secret) => text.includes(secret))
  return files.filter((name) => holds(readFileSync(join(out, name), 'latin1')) || holds(rowsIn.get(name)))
}

/** The rows of each file, as pyarrow reads them. */
function rowsOf(out: string, names: readonly string[]): Record<string, unknown>[][] {
  const paths = names.map((name) => join(out, name))
  return oracle<{ rows: Record<string, unknown>[] }[]>('read_rows.py', paths).map(({ rows: some }) => some)
}

test.each(['mask', 'replace', 'drop'])('after %s the values are nowhere', async (action) => {
  const { out, said } = await runOver({ action })
  expect(leaks(out)).toEqual([])
  for (const secret of Object.values(SECRETS)) expect(said).not.toContain(secret)
  const { totals } = manifestOf(out)
  expect(totals).toMatchObject({ rowsIn: 18, rowsOut: action === 'drop' ? 1 : 9, routed: 0 })
})

test('records of dropped rows hold the kind and the place', async () => {
  const { out } = await runOver({ action: 'drop', kinds: ['phone', 'iban'] })
  const names = readdirSync(join(out, 'removed')).map((name) => `removed/${name}`)
  const records = rowsOf(out, names).flat()
  const dropped = records.filter(({ step }) => step === 'pii')
  expect(new Map(dropped.map(({ id, rule, value }) => [id, [rule, value]]))).toEqual(
    new Map([
      ['d1', ['phone', 13]],
      ['d4', ['iban', 13]],
      ['d7', ['phone', 32]],
    ]),
  )
})

test('routed rows are in their files alone, which only the owner reads', async () => {
  const { out, said } = await runOver({ action: 'route', kinds: Object.keys(SECRETS) }, 'inspect', 'verify')
  const routed = readdirSync(join(out, 'routed/pii')).map((name) => `routed/pii/${name}`)
  expect(leaks(out)).toEqual(routed)
  for (const secret of Object.values(SECRETS)) expect(said).not.toContain(secret)
  for (const name of routed) expect(statSync(join(out, name)).mode & 0o777).toBe(0o600)
  const manifest = manifestOf(out)
  expect(manifest.totals).toMatchObject({ rowsIn: 18, rowsOut: 1, removed: 9, routed: 8 })
  expect(manifest.routed!.map(({ step, name }) => [step, name])).toEqual(routed.map((name) => ['pii', name]))
  const found = rowsOf(out, routed).flat()
  expect(found.map(({ id }) => id)).toEqual(['d0', 'd1', 'd2', 'd3', 'd4', 'd5', 'd6', 'd7'])
  expect(found[7]).toMatchObject({ text: rows[7], routed_rule: 'email', routed_value: 5, file: 'in/0.jsonl' })
  expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain('Routed to routed/')
})

test('a routed file that was deleted is written again, whatever the number of workers', async () => {
  const root = testFolder('private')
  for (const part of [0, 1]) place(join(root, `in/${part}.jsonl`), lines.slice(part * 9, part * 9 + 9).join(''))
  const steps = [{ pii: { action: 'route', kinds: ['email'] } }, { pii: { action: 'route', kinds: ['iban'] } }]
  const file = pipelineFile(root, { source: { paths: ['in'] }, steps, sink: SINK })
  const out = join(root, 'out')
  await runWell(file, out, ['--workers', '1'])
  const before = outputsOf(out, ['shards', 'routed'])
  expect(Object.keys(before).filter((name) => name.startsWith('routed/'))).toEqual([
    'routed/pii-2/00000.parquet',
    'routed/pii/00000.parquet',
  ])
  rmSync(join(out, 'routed/pii/00000.parquet'))
  expect((await gristmill(['verify', out])).stderr).toContain('routed/pii/00000.parquet')
  await runWell(file, out, ['--workers', '2'])
  expect(outputsOf(out, ['shards', 'routed'])).toEqual(before)
})

test('rows are not routed to a run directory elsewhere', async () => {
  const root = testFolder('private')
  place(join(root, 'in/0.jsonl'), lines[0]!)
  const file = pipelineFile(root, { source: { paths: ['in'] }, steps: [{ pii: { action: 'route' } }], sink: SINK })
  const ended = await gristmill(['run', file, '--out', 's3://bucket/run'])
  expect([ended.code, ended.stderr]).toEqual([
    2,
    expect.stringContaining("'pii' routes rows, which must stay on this machine"),
  ])
})
