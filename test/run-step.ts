/**
 * Runs one step over rows given as objects, the way the engine does: prepared once, opened, batch by batch.
 */
import { join } from 'node:path'
import type { Batch, Columns } from '../src/kernels/batch.js'
import { batchFromRows } from '../src/kernels/columns.js'
import { addon, native } from '../src/kernels/native.js'
import { RowReader } from '../src/kernels/rows.js'
import type { AnyStep } from '../src/steps/step.js'
import { testFolder } from './folder.js'
import { askOracle } from './oracle.js'

type Values = Record<string, unknown>
type Functions = readonly ((...args: never[]) => unknown)[]

export interface StepRun {
  readonly columns: Columns
  /** The rows that stayed, with `id`. */
  readonly rows: Values[]
  readonly removedRows: number
  /** Records of the rows that left. */
  removed(): Values[]
  /** Records of the edits to rows. */
  edits(): Values[]
  /** Rows that were routed. */
  routed(): Values[]
}

export interface StepInput {
  readonly rows: readonly Values[]
  readonly columns: Columns
  readonly functions?: Functions
  /** Rows of a batch; all in one by default. */
  readonly batchRows?: number
  /** Rows shown at planning; the first ten by default, none with 0. */
  readonly sampleRows?: number
}

export const TEXT: Columns = [{ name: 'text', type: 'string' }]

export async function runStep(step: AnyStep, config: unknown, input: StepInput): Promise<StepRun> {
  const { rows, columns, functions = [], batchRows = Math.max(rows.length, 1), sampleRows = 10 } = input
  if (step.kind !== 'map') throw new Error(`${step.name} is a global step`)
  const userFunction = (index: number): Functions[number] => functions[index]!
  const place = `steps[0].${step.name}`
  using sample = batchFromRows(rows.slice(0, sampleRows), columns)
  const parsed: unknown = step.config.parse(config)
  const prepared = await step.prepare(parsed, { columns, baseFolder: process.cwd(), place, sample, userFunction })
  const removed = new addon.NativeRemovedLog()
  const edits = new addon.NativeEdits()
  const routed = new addon.NativeRoutedRows()
  native(() => routed.writeTo(join(testFolder('routed'), 'task')))
  const kept: Values[] = []
  // Payloads cross to workers as plain data.
  using runner = step.open(structuredClone(prepared.payload), {
    removed,
    edits,
    routed,
    step: step.name,
    userFunction,
  })
  for (let from = 0; from < Math.max(rows.length, 1); from += batchRows) {
    const numbered = rows.slice(from, from + batchRows).map((row, at) => ({ position: from + at, ...row }))
    using batch = batchFromRows(numbered, columns)
    using other = await runner.run(batch)
    kept.push(...readRows(other ?? batch, prepared.columns))
  }
  const routedRows = native(() => routed.finish()).flatMap(({ file }) =>
    askOracle<Values[]>('read_parquet.py', { path: file.path }),
  )
  return {
    columns: prepared.columns,
    rows: kept,
    removedRows: removed.rows,
    removed: () => recordsOf(removed),
    edits: () => recordsOf(edits),
    routed: () => routedRows,
  }
}

/** The selected rows of a batch; the batch's columns must be the ones that were planned. */
export function readRows(batch: Batch, columns: Columns): Values[] {
  const names = batch
    .columns()
    .map(([name]) => name)
    .join(' ')
  const planned = ['__file', '__position', 'id', ...columns.map(({ name }) => name)].join(' ')
  if (names !== planned) throw new Error(`planned ${planned}, got ${names}`)
  batch.change((handle) => handle.compact())
  using reader = new RowReader(batch, columns)
  return Array.from({ length: batch.rows }, (_, row) => ({ ...reader.row(row) }))
}

function recordsOf(log: Pick<InstanceType<typeof addon.NativeRemovedLog>, 'finish'>): Values[] {
  const { path } = native(() => log.finish(join(testFolder('records'), 'records.parquet')))
  return askOracle('read_parquet.py', { path })
}
