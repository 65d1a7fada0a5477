/** Reads real files through a source format, for tests of the formats. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { openStores } from '../src/io/stores.js'
import { tableFromIPC } from 'apache-arrow'
import type { Batch, Columns } from '../src/kernels/batch.js'
import type { InputFile, Piece, Range, Reject, SourceFormat, SourceOptions, Split } from '../src/sources/source.js'
import { testFolder } from './folder.js'

export interface Row {
  readonly file: string
  readonly position: number
  readonly id: string | null
  readonly [column: string]: unknown
}

export interface Outcome {
  readonly rows: Row[]
  readonly rejects: Reject[]
  readonly truncated: string[]
  readonly unknown: Record<string, number>
  pruned: number
  consumed: number
  batches: number
}

export const defaults: SourceOptions = {
  text: 'text',
  id: 'id',
  columns: undefined,
  types: {},
  onMissing: 'quarantine',
  maxRecordBytes: 1 << 28,
  format: {},
}

/** Writes files into a new folder; paths are relative to it. */
export function writeFiles(files: Readonly<Record<string, string | Uint8Array>>): Promise<InputFile[]> {
  const folder = testFolder('source')
  return Promise.all(
    Object.entries(files).map(async ([path, content]) => {
      const url = join(folder, path)
      mkdirSync(dirname(url), { recursive: true })
      writeFileSync(url, content)
      return { path, url, size: (await stat(url)).size, fingerprint: '' }
    }),
  )
}

export function splitOf(...pieces: Piece[]): Split {
  return { kind: 'split', pieces, bytes: 0 }
}

export function wholeSplit(files: readonly InputFile[]): Split {
  return splitOf(...files.map((file) => ({ file, range: { kind: 'whole' } }) as const))
}

export function rangeSplit(file: InputFile, range: Range): Split {
  return splitOf({ file, range })
}

export const planning = { stores: openStores(), signal: new AbortController().signal }

/** Plans, samples and reads all files; sequential ones are cut into `spoolFolder`. */
export async function readFiles(
  format: SourceFormat,
  files: readonly InputFile[],
  overrides: Partial<SourceOptions> = {},
): Promise<Outcome> {
  const options = { ...defaults, ...overrides }
  const columns = await format.columns(files, options, planning)
  return readSplits(format, [wholeSplit(files)], columns, options)
}

export async function readSplits(
  format: SourceFormat,
  splits: readonly Split[],
  columns: Columns,
  options: SourceOptions = defaults,
  chunkBytes = 1 << 20,
): Promise<Outcome> {
  const outcome: Outcome = { rows: [], rejects: [], truncated: [], unknown: {}, pruned: 0, consumed: 0, batches: 0 }
  const context = {
    ...planning,
    chunkBytes: () => chunkBytes,
    reject: (rejects: readonly Reject[]) => void outcome.rejects.push(...rejects),
    pruned: (rows: number) => void (outcome.pruned += rows),
    unknownColumn: (name: string, rows: number) => void (outcome.unknown[name] = (outcome.unknown[name] ?? 0) + rows),
    truncated: (file: InputFile, reason: string) => void outcome.truncated.push(`${file.path}: ${reason}`),
    consumed: (bytes: number) => void (outcome.consumed += bytes),
  }
  for (const split of splits) {
    for await (const batch of format.read(split, columns, options, undefined, context)) {
      outcome.rows.push(...rowsOf(batch))
      outcome.batches++
      batch.dispose()
    }
  }
  return outcome
}

/** The rows, decoded from Arrow's layout; apache-arrow would drop byte order marks inside values. */
function rowsOf(batch: Batch): Row[] {
  const columns = batch
    .columns()
    .map(([name, type]): [string, unknown[]] => [NAMES.get(name) ?? name, valuesOf(batch, name, type)])
  return Array.from({ length: batch.rows }, (_, row) =>
    Object.fromEntries(columns.map(([name, values]) => [name, values[row]])),
  ) as unknown as Row[]
}

const NAMES = new Map([
  ['__file', 'file'],
  ['__position', 'position'],
])

function valuesOf(batch: Batch, name: string, type: string): unknown[] {
  if (name === '__file') return tableFromIPC(batch.toIpc()).getChild(name)!.toArray() as unknown[]
  const { validity, buffers } = batch.view(name)
  const [first, second] = buffers
  const bit = (bits: ArrayBuffer, row: number): boolean => ((new Uint8Array(bits)[row >> 3]! >> (row & 7)) & 1) === 1
  const decoders: Record<string, (row: number) => unknown> = {
    Utf8: (row) => {
      const offsets = new Int32Array(first!)
      return Buffer.from(second!).toString('utf8', offsets[row], offsets[row + 1])
    },
    Int64: (row) => Number(new BigInt64Array(first!)[row]),
    UInt64: (row) => Number(new BigUint64Array(first!)[row]),
    Float64: (row) => new Float64Array(first!)[row],
    Boolean: (row) => bit(first!, row),
  }
  const decode = decoders[type]!
  return Array.from({ length: batch.rows }, (_, row) => (validity && !bit(validity, row) ? null : decode(row)))
}
