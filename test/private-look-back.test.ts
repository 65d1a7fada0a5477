/**
 * Private data stays where it came in: nothing a run writes beside its shards, and nothing `why` and `diff` tell,
 * holds what the step `pii` found, whether it masks, drops, routes or only counts.
 */
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type * as Facade from '../src/index.js'
import { gristmill, pipelineFile, testFolder } from './command.js'
import { place } from './corpora.js'
import { askOracle } from './oracle.js'

const BUILD = '../dist/index.js'
const { diffRuns, loadPipeline, runPipeline, whyRow } = (await import(BUILD)) as typeof Facade

const SECRETS = ['ishmael@whalers.org', '4539 1488 0343 6467', '93.184.216.34'] as const
/** The first address as a browser would show it. */
const HIDDEN = 'ishmael&#64;whalers.org'

const rows = [
  { id: 'plain', text: `Write to ${SECRETS[0]} before the ship sails, if you would come along.` },
  { id: 'twin', text: `Write to ${SECRETS[0]} before the ship sails, if you would come along.` },
  { id: 'hidden', text: `Or to ${HIDDEN}, which is the same.` },
  { id: 'card', text: `${SECRETS[1]} pays for it; the log is kept at ${SECRETS[2]}, they say.` },
  { id: 'clean', text: 'Nothing here is anybody’s business but the reader’s own.' },
]

/** All that a run left but its shards, the rows it was told to keep apart and its unfinished work, as text. */
function writtenBy(out: string): string {
  const files = readdirSync(out, { recursive: true, encoding: 'utf8' })
  return files
    .filter((file) => /\.(json|html|parquet|jsonl)$/u.test(file) && !/^(?:shards|routed)\b/u.test(file))
    .map((file) =>
      file.endsWith('.parquet')
        ? JSON.stringify(askOracle('read_parquet.py', { path: join(out, file) }))
        : readFileSync(join(out, file), 'utf8'),
    )
    .join('\n')
}

const expectNone = (said: string, where: string): void => {
  for (const secret of [...SECRETS, HIDDEN, 'whalers.org'])
    expect(said.includes(secret), `${secret} in ${where}`).toBe(false)
}

test.each([
  ['mask', { action: 'mask' }],
  ['replace', { action: 'replace' }],
  ['drop', { action: 'drop' }],
  ['route', { action: 'route' }],
  ['annotate', { mode: 'annotate' }],
])('pii that is to %s', { timeout: 60_000 }, async (name, how) => {
  const root = testFolder('private')
  place(join(root, 'data/a.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  const outs: string[] = []
  // Rows leave before the step, in it, and after it; the second run removes others.
  for (const shortest of [40, 60]) {
    const steps = [
      { filter: `length(text) >= ${shortest}` },
      { normalize: { html: 'unescape' } },
      { pii: { kinds: ['email', 'credit-card', 'ip'], ...how } },
      'exact-dedup',
      { filter: 'length(text) < 70' },
    ]
    const pipeline = { source: { paths: 'data' }, steps, sink: 'jsonl', keepRemovedText: true }
    const out = join(root, `run-${shortest}`)
    const file = pipelineFile(root, pipeline, `${name}-${shortest}.yaml`)
    await runPipeline(await loadPipeline(file), { out, workers: 1 })
    expectNone(writtenBy(out), `what ${name} wrote`)
    outs.push(out)
  }
  const [before, after] = outs as [string, string]
  for (const { id } of rows) {
    const lives = await whyRow(before, id)
    expect(lives).toHaveLength(1)
    expectNone(JSON.stringify(lives), `why ${id}`)
  }
  const changes = await diffRuns(before, after)
  expect(changes.changes.some(({ samples }) => samples.some(({ text }) => text !== undefined))).toBe(true)
  expectNone(JSON.stringify(changes), 'diff')
})

test('why finds a routed row by its id, says where it is and shows nothing of it', { timeout: 60_000 }, async () => {
  const root = testFolder('private')
  place(join(root, 'data/a.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  const steps = [{ normalize: { html: 'unescape' } }, { pii: { kinds: ['email', 'ip'], action: 'route' } }]
  const file = pipelineFile(root, { source: { paths: 'data' }, steps, sink: 'jsonl' })
  const out = join(root, 'run')
  await runPipeline(await loadPipeline(file), { out, workers: 1 })
  const routedTo = 'routed/pii/00000.parquet'
  const lives = await whyRow(out, 'hidden')
  expect(lives).toMatchObject([
    {
      id: 'hidden',
      file: 'data/a.jsonl',
      outcome: 'routed',
      routed: { step: 'pii', rule: 'email', value: 6, file: routedTo },
      removed: undefined,
      text: undefined,
      steps: [
        { step: 'normalize', outcome: 'changed' },
        { step: 'pii', outcome: 'routed' },
      ],
    },
  ])
  expectNone(JSON.stringify(lives), 'why hidden')
  const { position } = lives[0]!
  expect(await whyRow(out, `data/a.jsonl:${position}`)).toEqual(lives)
  expect(await whyRow(out, 'clean')).toMatchObject([{ outcome: 'kept' }])
  const said = await gristmill(['why', out, 'card'])
  expect(said.stdout).toContain(`routed by pii: ip, to ${routedTo}`)
  expectNone(said.stdout + said.stderr, 'why card')

  // A run may be handed on without its routed rows.
  rmSync(join(out, 'routed'), { recursive: true })
  await expect(whyRow(out, 'hidden')).rejects.toMatchObject({
    code: 'GM_ROW_MISSING',
    hint: `${routedTo} is not at hand, so a routed row is found only by its place, as FILE:POSITION`,
  })
  const [unlisted] = await whyRow(out, `data/a.jsonl:${position}`)
  expect(unlisted).toMatchObject({ outcome: 'left out', text: undefined })
  expectNone(JSON.stringify(unlisted), 'why by place')
})
