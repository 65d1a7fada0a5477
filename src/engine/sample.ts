/**
 * A few rows of the input, read where the run is planned: to learn what a user's function returns, and to
 * estimate rates and selectivity for `explain`.
 */
import { GristmillError } from '../core/errors.js'
import type { ByteStores } from '../io/store.js'
import type { Batch, Columns } from '../kernels/batch.js'
import type { SequentialFile, SourceFormat, SourceOptions, Split } from '../sources/source.js'
import { lookContext, wholeSplit } from './look.js'

/** Bytes read for a sample. */
const SAMPLE_BYTES = 256 * 1024

export interface SampleInput {
  readonly source: SourceFormat
  readonly splits: readonly (Split | SequentialFile)[]
  readonly sourceColumns: Columns
  readonly sourceOptions: SourceOptions
  readonly where: unknown
  readonly stores: ByteStores
  readonly signal: AbortSignal
}

/** The first batch of rows the source gives; a sequential file is read from its start as a whole. */
export async function sampleRows(input: SampleInput): Promise<Batch> {
  const first = input.splits.find((split) => split.kind === 'split' || split.file.url !== '-')
  if (!first) {
    throw new GristmillError('GM_CONFIG', 'the columns a function returns cannot be found out from standard input', {
      hint: 'declare them: map(fn, { columns: { … } })',
    })
  }
  const split = first.kind === 'split' ? first : wholeSplit(first.file, first.bytes)
  const context = lookContext(input.stores, SAMPLE_BYTES, input.signal)
  const rows = input.source.read(split, input.sourceColumns, input.sourceOptions, input.where, context)
  try {
    for await (const batch of rows) {
      if (batch.rows > 0) return batch
      batch.dispose()
    }
  } finally {
    await rows.return(undefined)
  }
  throw new GristmillError('GM_CONFIG', 'the first part of the input holds no rows to try the function on', {
    hint: 'declare the columns: map(fn, { columns: { … } })',
  })
}
