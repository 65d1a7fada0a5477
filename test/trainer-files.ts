/** Files that other tools wrote in the formats of trainers, read through the sources: what their tests share. */
import { cpSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { tableFromIPC } from 'apache-arrow'
import { afterAll, beforeAll, expect } from 'vitest'
import { type Batch, type Columns, liveBatchBytes } from '../src/kernels/batch.js'
import type { InputFile, Piece, Reject, SourceFormat, SourceOptions } from '../src/sources/source.js'
import { testFolder } from './folder.js'
import { oracle } from './oracle.js'
import { defaults, planning } from './read-source.js'

export type Row = Record<string, unknown>
/** Rows by file, for each format. */
export type Written = Record<'mds' | 'wds' | 'tfrecords' | 'megatron', Record<string, Row[]>>

const folder = testFolder('trainer-formats')

/** Has Python write the files before the tests; what is in them is there once a test runs. */
export function writtenForTests(): Written {
  const written = {} as Written
  beforeAll(() => {
    Object.assign(written, oracle('write_shards.py', [folder]))
  })
  afterAll(() => {
    expect(liveBatchBytes()).toBe(0)
  })
  return written
}

/** Where a file lies. */
export function placeOf(path: string): string {
  return join(folder, path)
}

export function input(path: string): InputFile {
  const url = join(folder, path)
  return { path, url, size: statSync(url).size, fingerprint: '' }
}

/** A copy of a file, and of what lies beside it where `beside` names it, with `change` made to its bytes. */
export function changed(
  path: string,
  to: string,
  change: (bytes: Buffer) => Uint8Array,
  beside: string[] = [],
): InputFile {
  mkdirSync(dirname(join(folder, to)), { recursive: true })
  for (const name of beside) cpSync(join(folder, dirname(path), name), join(folder, dirname(to), name))
  writeFileSync(join(folder, to), change(readFileSync(join(folder, path))))
  return input(to)
}

export interface Outcome {
  readonly rows: Row[]
  readonly rejects: Reject[]
  readonly truncated: string[]
  readonly unknown: Record<string, number>
  columns: Columns
  consumed: number
}

export interface ReadOptions extends Partial<SourceOptions> {
  readonly chunkBytes?: number
  readonly pieces?: readonly Piece[]
  /** Columns that were found before, instead of those of the files. */
  readonly found?: Columns
}

/** Samples and reads files. */
export async function read(
  format: SourceFormat,
  files: readonly InputFile[],
  asked: ReadOptions = {},
): Promise<Outcome> {
  const { chunkBytes = 1 << 20, pieces, found, ...overrides } = asked
  const options = { ...defaults, ...overrides, format: format.options.parse(overrides.format ?? {}) }
  const columns = found ?? (await format.columns(files, options, planning))
  const outcome: Outcome = { rows: [], rejects: [], truncated: [], unknown: {}, columns, consumed: 0 }
  const context = {
    ...planning,
    chunkBytes: () => chunkBytes,
    reject: (rejects: readonly Reject[]) => void outcome.rejects.push(...rejects),
    pruned: () => undefined,
    unknownColumn: (name: string, rows: number) => void (outcome.unknown[name] = (outcome.unknown[name] ?? 0) + rows),
    truncated: (file: InputFile, reason: string) => void outcome.truncated.push(`${file.path}: ${reason}`),
    consumed: (bytes: number) => void (outcome.consumed += bytes),
  }
  const whole = files.map((file) => ({ file, range: { kind: 'whole' } }) as const)
  const split = { kind: 'split', pieces: pieces ?? whole, bytes: 0 } as const
  for await (const batch of format.read(split, columns, options, undefined, context)) {
    outcome.rows.push(...rowsOf(batch))
    batch.dispose()
  }
  return outcome
}

/** Rows as plain values: bytes in Base64, integers beyond 2^53 as text, lists as arrays. */
function rowsOf(batch: Batch): Row[] {
  const table = tableFromIPC(batch.toIpc())
  return table.toArray().map((row: { toJSON(): Row }) => {
    const { __file: _file, __position: position, id, ...columns } = row.toJSON()
    const plain = Object.fromEntries(Object.entries(columns).map(([name, value]) => [name, plainValue(value)]))
    return { position: Number(position), id, ...plain }
  })
}

function plainValue(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (typeof value === 'object' && value !== null && Symbol.iterator in value) {
    return Array.from(value as Iterable<unknown>, plainValue)
  }
  return value
}

export const places = (rows: readonly Row[]): unknown[] => rows.map(({ position }) => position)
export const without = (rows: readonly Row[]): Row[] => rows.map(({ position: _position, id: _id, ...row }) => row)
