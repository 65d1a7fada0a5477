/** Whole runs over files that other trainers' tools wrote: tokens are packed, documents cleaned, bad records told. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  gristmill,
  isBalanced,
  manifestOf,
  outputsOf,
  pipelineFile,
  quarantineOf,
  runWell,
  testFolder,
} from './command.js'
import { place } from './corpora.js'
import { oracle } from './oracle.js'

type Row = Record<string, unknown>
type Written = Record<'mds' | 'wds' | 'tfrecords' | 'megatron', Record<string, Row[]>>

interface Shard {
  readonly documents: number[][]
}

/** The documents of a run's shards, as numpy reads them. */
function documentsOf(out: string): number[][] {
  const bases = manifestOf(out).shards.map(({ files }) => join(out, files[0]!.name.replace(/\.[a-z.]+$/, '')))
  return oracle<Shard[]>('megatron.py', ['documents', ...bases]).flatMap(({ documents }) => documents)
}

function rowsOf(out: string): Row[] {
  const files = manifestOf(out).shards.flatMap((shard) => shard.files)
  return files.flatMap(({ name }) =>
    readFileSync(join(out, name), 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Row),
  )
}

const PACKED = { steps: [{ pack: { length: 64 } }], sink: 'megatron' }

test('corpora that others tokenised are packed, and what was packed is a source again', async () => {
  const root = testFolder('trainer-formats')
  const written = oracle<Written>('write_shards.py', [root])
  const idsOf = (rows: readonly Row[]): number[][] => rows.map(({ tokens }) => tokens as number[])
  const megatron = Object.values(written.megatron).flatMap(idsOf)
  const pack = async (name: string, source: object, documents: readonly number[][]): Promise<string> => {
    const out = join(root, name)
    await runWell(pipelineFile(root, { source, ...PACKED }, `${name}.yaml`), out)
    expect(documentsOf(out)).toEqual(documents)
    const tokens = documents.reduce((sum, ids) => sum + ids.length, 0)
    expect(manifestOf(out)).toMatchObject({ totals: { rowsOut: documents.length, tokens } })
    expect(isBalanced(manifestOf(out))).toBe(true)
    return out
  }
  const first = await pack('megatron', { paths: ['*.idx'] }, megatron)
  const again = await pack('again', { format: 'megatron', paths: ['megatron/shards/*.idx'] }, megatron)
  expect(outputsOf(again, ['packs'])).toEqual(outputsOf(first, ['packs']))
  await pack('mds', { paths: ['mds-tokens/index.json'] }, idsOf(written.mds['mds-tokens/shard.00000.mds']!))
})

test('init writes a pipeline that packs them', async () => {
  const root = testFolder('trainer-formats-init')
  oracle('write_shards.py', [root])
  const file = join(root, 'corpus.yaml')
  const init = await gristmill(['init', join(root, 'type-8.idx'), '--out', file])
  expect(init.stdout).toContain('documents are in the column tokens')
  await runWell(file, join(root, 'out'))
  expect(manifestOf(join(root, 'out')).totals.rowsOut).toBe(80)
})

test('documents come with their columns, by a condition, whatever the workers', async () => {
  const root = testFolder('trainer-formats-rows')
  const written = oracle<Written>('write_shards.py', [root])
  const sink = { format: 'jsonl', compression: 'none' }
  const source = { paths: ['wds.tar'], text: 'txt', id: '__key__', columns: ['cls'], where: 'cls >= 500' }
  const file = pipelineFile(root, { source, steps: [{ filter: 'length(text) >= 10' }], sink })
  await runWell(file, join(root, 'one'), ['--workers', '1'])
  await runWell(file, join(root, 'two'), ['--workers', '2'])
  expect(outputsOf(join(root, 'two'))).toEqual(outputsOf(join(root, 'one')))
  const samples = written.wds['wds.tar'] as { __key__: string; txt: string; cls: number }[]
  const kept = samples.filter(({ txt, cls }) => cls >= 500 && Array.from(txt).length >= 10)
  const rows = rowsOf(join(root, 'one')).map(({ id, text, cls }) => ({ id, text, cls }))
  expect(rows).toEqual(kept.map(({ __key__: id, txt: text, cls }) => ({ id, text, cls })))
  expect(isBalanced(manifestOf(join(root, 'one')))).toBe(true)
})

test('a file that was cut ends the run with 3, with everything before it written', async () => {
  const root = testFolder('trainer-formats-cut')
  oracle('write_shards.py', [root])
  const bytes = readFileSync(join(root, 'examples.tfrecord'))
  place(join(root, 'in/whole.tfrecord'), '')
  writeFileSync(join(root, 'in/whole.tfrecord'), bytes)
  writeFileSync(join(root, 'in/cut.tfrecord'), bytes.subarray(0, bytes.length - 5))
  const out = join(root, 'out')
  const file = pipelineFile(root, { source: { paths: ['in'], columns: ['n'] }, steps: [], sink: 'parquet' })
  const ended = await gristmill(['run', file, '--out', out])
  expect(ended.code, ended.stderr).toBe(3)
  expect(manifestOf(out)).toMatchObject({ totals: { rowsOut: 299, quarantined: 1 } })
  expect(quarantineOf(out)).toMatchObject([{ file: 'in/cut.tfrecord', code: 'truncated' }])
})
