/**
 * Columns out of JavaScript values: laid out here, checked and taken over by crates/node/src/rows.rs.
 */
import { inspect } from 'node:util'
import type { NativeColumnParts } from '../../native/index.js'
import { Batch, type Columns, type ColumnType } from './batch.js'
import { addon, native } from './native.js'

/** A value that is not of the column's type. */
export class UnfitValue extends TypeError {
  readonly row: number
  readonly column: string

  constructor(row: number, column: string, type: ColumnType, value: unknown) {
    super(`column '${column}' is ${type}, got ${describe(value)}`)
    this.row = row
    this.column = column
  }
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'string') return `the text ${JSON.stringify(value.slice(0, 60))}`
  if (typeof value === 'object')
    return Array.isArray(value) ? 'an array' : `an object (${value.constructor?.name ?? 'Object'})`
  return `the ${typeof value} ${inspect(value)}`
}

/**
 * The parts of a column of `type`. Null and undefined become null; anything else that does not fit throws
 * `UnfitValue`: numbers are not texts, 0.5 is not int64, nothing is converted.
 */
export function layOut(name: string, type: ColumnType, values: readonly unknown[]): NativeColumnParts {
  const rows = values.length
  const validity = new Uint8Array(Math.ceil(rows / 8))
  const parts: NativeColumnParts = { name, kind: type, validity }
  const unfit = (row: number): UnfitValue => new UnfitValue(row, name, type, values[row])
  const each = (take: (value: unknown, row: number) => void): void => {
    for (let row = 0; row < rows; row++) {
      const value = values[row]
      if (value === null || value === undefined) continue
      validity[row >> 3]! |= 1 << (row & 7)
      take(value, row)
    }
  }
  switch (type) {
    case 'string':
    case 'json':
      return { ...parts, ...texts(values, type, unfit, each) }
    case 'float64': {
      const floats = new Float64Array(rows)
      each((value, row) => {
        if (typeof value !== 'number') throw unfit(row)
        floats[row] = value
      })
      return { ...parts, floats }
    }
    case 'int64': {
      const ints = new BigInt64Array(rows)
      each((value, row) => {
        const whole = typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value
        if (typeof whole !== 'bigint' || BigInt.asIntN(64, whole) !== whole) throw unfit(row)
        ints[row] = whole
      })
      return { ...parts, ints }
    }
    case 'boolean': {
      const bytes = new Uint8Array(validity.length)
      each((value, row) => {
        if (typeof value !== 'boolean') throw unfit(row)
        if (value) bytes[row >> 3]! |= 1 << (row & 7)
      })
      return { ...parts, bytes }
    }
    case 'tokens':
      return { ...parts, ...lists(values, unfit, each) }
    case 'other':
      throw new UnfitValue(0, name, type, values[0])
  }
}

type Each = (take: (value: unknown, row: number) => void) => void

function texts(
  values: readonly unknown[],
  type: 'string' | 'json',
  unfit: (row: number) => UnfitValue,
  each: Each,
): Pick<NativeColumnParts, 'bytes' | 'offsets'> {
  const written = Array<string>(values.length).fill('')
  each((value, row) => {
    if (type === 'json') {
      const json: string | undefined = JSON.stringify(value)
      if (json === undefined) throw unfit(row)
      written[row] = json
    } else {
      if (typeof value !== 'string') throw unfit(row)
      written[row] = value
    }
  })
  const offsets = new Int32Array(values.length + 1)
  let total = 0
  for (const [row, text] of written.entries()) {
    total += Buffer.byteLength(text)
    offsets[row + 1] = total
  }
  const bytes = Buffer.allocUnsafeSlow(total)
  // A lone surrogate, which UTF-8 cannot hold, becomes U+FFFD.
  written.forEach((text, row) => bytes.write(text, offsets[row] as number))
  return { bytes, offsets }
}

function lists(
  values: readonly unknown[],
  unfit: (row: number) => UnfitValue,
  each: Each,
): Pick<NativeColumnParts, 'tokens' | 'offsets'> {
  const rows = Array.from(values, (): ArrayLike<number> => [])
  each((value, row) => {
    if (!(value instanceof Uint32Array)) throw unfit(row)
    rows[row] = value
  })
  const offsets = new Int32Array(values.length + 1)
  for (const [row, list] of rows.entries()) offsets[row + 1] = offsets[row]! + list.length
  const tokens = new Uint32Array(offsets[values.length]!)
  for (const [row, list] of rows.entries()) tokens.set(list, offsets[row])
  return { tokens, offsets }
}

/** Replaces or adds columns of a batch; `values` has one for each row, selected or not. */
export function setColumn(batch: Batch, name: string, type: ColumnType, values: readonly unknown[]): void {
  const parts = layOut(name, type, values)
  batch.change((handle) => addon.setColumn(handle, parts))
}

/** Where a row comes from. */
export interface RowPlace {
  readonly id?: string | null
  readonly file?: string
  readonly position?: number
}

/** A batch of rows given as objects. Without a place, row n is at position n of `rows.jsonl`. */
export function batchFromRows(rows: readonly (RowPlace & Record<string, unknown>)[], columns: Columns): Batch {
  const files = [...new Set(rows.map((row) => row.file ?? 'rows.jsonl'))]
  const file = Uint32Array.from(rows, (row) => files.indexOf(row.file ?? 'rows.jsonl'))
  const position = BigUint64Array.from(rows, (row, index) => BigInt(row.position ?? index))
  const ids = rows.map((row) => row.id ?? null)
  const parts = columns.map(({ name, type }) =>
    layOut(
      name,
      type,
      rows.map((row) => row[name]),
    ),
  )
  return new Batch(native(() => addon.batchFromColumns(files, file, position, ids as string[], parts)))
}
