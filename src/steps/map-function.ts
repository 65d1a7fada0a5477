/**
 * The part of `map` that deals with a user's function: rows in, rows out, columns of them.
 */
import { GristmillError } from '../core/errors.js'
import type { Batch, Columns, ColumnType } from '../kernels/batch.js'
import { UnfitValue, setColumn } from '../kernels/columns.js'
import { RowReader, isUnchanged, isUntouched } from '../kernels/rows.js'
import { type RowFunction, forEachRow, userError } from './user-function.js'

type Returned = Readonly<Record<string, unknown>>

interface MapColumns {
  readonly columnsIn: Columns
  readonly columnsOut: Columns
}

/** Names a returned row may carry without their being columns: the identity stays as it is. */
const IDENTITY: ReadonlySet<string> = new Set(['id', 'file', 'position'])

/** Applies `fn` to the rows of a batch, in place. */
export async function mapByFunction(
  batch: Batch,
  fn: RowFunction,
  step: string,
  { columnsIn, columnsOut }: MapColumns,
): Promise<void> {
  // Every row is a selected one from here, so that each has a returned row.
  batch.change((handle) => handle.compact())
  const before = new Map(columnsIn.map(({ name, type }) => [name, type]))
  const known = new Set([...columnsOut.map(({ name }) => name), ...before.keys(), ...IDENTITY])
  // Columns that no row changed stay as they are, without a copy.
  const stays = new Map(columnsOut.map(({ name, type }) => [name, before.get(name) === type]))
  const returned: Returned[] = []
  using reader = new RowReader(batch, columnsIn)

  await forEachRow(batch, reader, step, fn, (result, row, index) => {
    const out = returnedRow(result, step, batch, index)
    const extra = Object.keys(out).find((name) => !known.has(name))
    if (extra !== undefined) {
      throw userError(step, batch, index, `the function returned the column '${extra}', which no row had at planning`)
    }
    for (const { name, type } of columnsOut) {
      if (type === 'other' || !stays.get(name) || (out === row && isUntouched(row, name))) continue
      if (!isUnchanged(row, name, type, out[name])) stays.set(name, false)
    }
    returned.push(out)
  })

  const changed = columnsOut.filter(({ name, type }) => type !== 'other' && !stays.get(name))
  const columns = changed.map(({ name, type }) => ({ name, type, values: returned.map((out) => out[name]) }))
  const ids = newIds(batch, step, returned)
  for (const { name, type, values } of columns) store(batch, step, name, type, values)
  if (ids !== undefined) store(batch, step, 'id', 'string', ids)
  batch.change((handle) => handle.project(columnsOut.map(({ name }) => [name, name])))
}

function returnedRow(result: unknown, step: string, batch: Batch, index: number): Returned {
  if (typeof result === 'object' && result !== null && !Array.isArray(result)) return result as Returned
  const got = result === null ? 'null' : Array.isArray(result) ? 'an array' : typeof result
  throw userError(step, batch, index, `the function must return a row, got ${got}; rows are removed by filter`)
}

/** The ids the function returned; undefined when all are as before. A row without one keeps its own. */
function newIds(batch: Batch, step: string, returned: readonly Returned[]): string[] | undefined {
  const ids = batch.ids()
  let changed = false
  returned.forEach((out, index) => {
    const id = out['id'] ?? ids[index]
    if (typeof id !== 'string') throw userError(step, batch, index, `'id' must be a text, got ${typeof id}`)
    changed ||= id !== ids[index]
    ids[index] = id
  })
  return changed ? ids : undefined
}

function store(batch: Batch, step: string, name: string, type: ColumnType, values: readonly unknown[]): void {
  try {
    const missing = name === 'text' ? values.findIndex((value) => typeof value !== 'string') : -1
    if (missing >= 0) throw new UnfitValue(missing, name, 'string', values[missing])
    setColumn(batch, name, type, values)
  } catch (error) {
    if (!(error instanceof UnfitValue)) throw error
    throw userError(step, batch, error.row, `the function returned a value that does not fit: ${error.message}`, error)
  }
}

/** The columns that go out, from trying the function on the selected rows of `sample`. */
export async function inferColumns(
  sample: Batch,
  fn: RowFunction,
  place: string,
  columnsIn: Columns,
): Promise<Columns> {
  const returned: Returned[] = []
  using reader = new RowReader(sample, columnsIn)
  await forEachRow(sample, reader, place, fn, (result, _row, index) => {
    returned.push(returnedRow(result, place, sample, index))
  })
  const before = new Map(columnsIn.map(({ name, type }) => [name, type]))
  const seen = new Set(returned.flatMap((out) => Object.keys(out)))
  const names = [...columnsIn.map(({ name }) => name), ...seen].filter(
    (name) => before.get(name) === 'other' || (seen.has(name) && (before.has(name) || !IDENTITY.has(name))),
  )
  return [...new Set(names)].map((name) => {
    const values = returned.map((out) => out[name]).filter((value) => value !== null && value !== undefined)
    return { name, type: inferType(name, values, before.get(name), place) }
  })
}

function inferType(
  name: string,
  values: readonly unknown[],
  before: ColumnType | undefined,
  place: string,
): ColumnType {
  if (before === 'other') return before
  if (name.startsWith('__')) {
    throw new GristmillError('GM_CONFIG', `${place}: the function returned a column called '${name}'`, {
      hint: 'names that start with __ belong to the engine',
    })
  }
  const types = [...new Set(values.map((value) => typeOf(value, before)))]
  const [type] = types
  if (type === undefined && before !== undefined) return before
  if (type !== undefined && types.length === 1) return type
  if (type !== undefined && types.every((one) => one === 'int64' || one === 'float64')) return 'float64'
  const problem = type === undefined ? 'is null in every row tried' : `is of several types: ${types.join(', ')}`
  throw new GristmillError('GM_CONFIG', `${place}: the column '${name}' that the function returns ${problem}`, {
    hint: `state its type, as in .map(fn, { columns: { ${name}: 'json' } })`,
  })
}

function typeOf(value: unknown, before: ColumnType | undefined): ColumnType {
  if (before === 'json') return 'json'
  switch (typeof value) {
    case 'string':
      return 'string'
    case 'boolean':
      return 'boolean'
    case 'bigint':
      return 'int64'
    case 'number':
      return before === 'int64' && Number.isSafeInteger(value) ? 'int64' : 'float64'
    default:
      return value instanceof Uint32Array ? 'tokens' : 'json'
  }
}
