/**
 * Rows as objects, for functions of the user.
 *
 * A row decodes a column when it is first read, out of memory it shares with the batch. It behaves like a
 * plain object: its columns can be listed, spread, set and deleted (which changes the row object, not the
 * batch). `id` is always a text; `file` and `position` can be read but are not listed, unless the data has
 * columns of these names. A row lives as long as its reader: reading it later throws, copies such as
 * `{ ...row }` stay.
 *
 * | column | value |
 * |---|---|
 * | string | string |
 * | int64 | number, or bigint beyond ±2^53 |
 * | float64 | number |
 * | boolean | boolean |
 * | json | the parsed value |
 * | tokens | Uint32Array, a copy |
 * | other | cannot be read |
 *
 * Null is `null` in every type.
 */
import { inspect } from 'node:util'
import type { NativeColumn, NativeLists } from '../../native/index.js'
import { GristmillError } from '../core/errors.js'
import type { Batch, Columns, ColumnType } from './batch.js'
import { addon, native } from './native.js'

/** A row as a user's function sees it. */
export type Row = Record<string, unknown> & { readonly id: string }

type Getter = (row: number) => unknown

/** What a row object holds: its number, and the values read or set so far. */
interface RowState {
  readonly reader: RowReader
  readonly row: number
  readonly values: Map<string, unknown>
  /** Columns the function set or deleted. */
  readonly changed: Set<string>
}

/** The key under which a row hands out its state, to this module only: a WeakMap costs a lookup table a row. */
const STATE = Symbol('state')

function stateOf(row: object): RowState | undefined {
  return (row as { readonly [STATE]?: RowState })[STATE]
}

/** The rows of one batch. Disposing it ends them. */
export class RowReader implements Disposable {
  readonly #getters: ReadonlyMap<string, Getter>
  /** Listed columns, in order. */
  readonly #keys: readonly string[]
  readonly #listed: ReadonlySet<string>
  readonly #rows: number
  #open = true

  constructor(batch: Batch, columns: Columns) {
    const getters = new Map<string, Getter>()
    const keys = ['id', ...columns.filter(({ type }) => type !== 'other').map(({ name }) => name)]
    getters.set(
      'id',
      lazy(() => {
        const ids = batch.ids()
        return (row) => ids[row]
      }),
    )
    getters.set(
      'file',
      lazy(() => fileGetter(batch)),
    )
    getters.set(
      'position',
      lazy(() => columnGetter(batch, '__position', 'int64')),
    )
    for (const { name, type } of columns)
      getters.set(
        name,
        lazy(() => columnGetter(batch, name, type)),
      )
    this.#rows = batch.rows
    this.#getters = getters
    this.#listed = new Set(keys)
    this.#keys = [...this.#listed]
  }

  /** Rows of the batch, selected or not. */
  get rows(): number {
    return this.#rows
  }

  row(index: number): Row {
    const state: RowState = { reader: this, row: index, values: new Map(), changed: new Set() }
    return new Proxy(SHOWN, new RowHandler(state)) as unknown as Row
  }

  keys(): readonly string[] {
    return this.#keys
  }

  lists(name: string): boolean {
    return this.#listed.has(name)
  }

  has(name: string): boolean {
    return this.#getters.has(name)
  }

  /** The value of a column in a row; undefined when there is no such column. */
  value(row: number, name: string): unknown {
    if (!this.#open) {
      throw new GristmillError('GM_DISPOSED', `column '${name}' of a row was read after the function had returned`, {
        hint: 'copy what you keep, as in { ...row }',
      })
    }
    return this.#getters.get(name)?.(row)
  }

  [Symbol.dispose](): void {
    this.#open = false
  }
}

/**
 * Whether `value` is what the batch holds in a column of the row. A column that the function never touched is
 * not decoded for this; a parsed JSON value is compared by what it says, since it may have been changed in place.
 */
export function isUnchanged(row: Row, name: string, type: ColumnType, value: unknown): boolean {
  const state = stateOf(row)
  if (state === undefined) return false
  const { reader, row: index, values, changed } = state
  const original = values.has(name) && !changed.has(name) ? values.get(name) : reader.value(index, name)
  if (type === 'json') return JSON.stringify(value ?? null) === JSON.stringify(reader.value(index, name))
  if (type === 'tokens') return sameTokens(value ?? null, reader.value(index, name))
  return Object.is(value ?? null, original)
}

/** Whether `row` is a row object whose function neither read nor set the column. */
export function isUntouched(row: object, name: string): boolean {
  const state = stateOf(row)
  return state !== undefined && !state.changed.has(name) && !state.values.has(name)
}

function sameTokens(a: unknown, b: unknown): boolean {
  if (!(a instanceof Uint32Array && b instanceof Uint32Array)) return a === b
  return a.length === b.length && a.every((token, at) => token === b[at])
}

/** What stands behind a row's proxy: `console.log` looks here for how to print, and calls it on the proxy. */
class Shown {
  [inspect.custom](): object {
    return Object.assign({}, this)
  }
}

const SHOWN = new Shown()

class RowHandler implements ProxyHandler<object> {
  readonly #state: RowState

  constructor(state: RowState) {
    this.#state = state
  }

  get(_target: object, key: string | symbol): unknown {
    if (typeof key === 'symbol') return this.#symbol(key)
    const { reader, row, values, changed } = this.#state
    const known = values.get(key)
    if (known !== undefined || changed.has(key)) return known
    const value = reader.value(row, key)
    if (value !== undefined) values.set(key, value)
    return value
  }

  #symbol(key: symbol): unknown {
    if (key === STATE) return this.#state
    return key === inspect.custom ? SHOWN[inspect.custom] : undefined
  }

  set(_target: object, key: string | symbol, value: unknown): boolean {
    if (typeof key === 'symbol') return false
    this.#state.values.set(key, value)
    this.#state.changed.add(key)
    return true
  }

  deleteProperty(_target: object, key: string | symbol): boolean {
    if (typeof key === 'string') {
      this.#state.values.delete(key)
      this.#state.changed.add(key)
    }
    return true
  }

  has(_target: object, key: string | symbol): boolean {
    const { reader, values, changed } = this.#state
    return typeof key === 'string' && (values.has(key) || (!changed.has(key) && reader.has(key)))
  }

  ownKeys(): string[] {
    const { reader, values, changed } = this.#state
    const kept = reader.keys().filter((key) => values.has(key) || !changed.has(key))
    return [...new Set([...kept, ...[...changed].filter((key) => values.has(key))])]
  }

  getOwnPropertyDescriptor(target: object, key: string | symbol): PropertyDescriptor | undefined {
    const { reader, values, changed } = this.#state
    if (typeof key === 'symbol') return undefined
    const listed = changed.has(key) ? values.has(key) : reader.lists(key)
    if (!listed) return undefined
    // An accessor, so that listing the keys decodes nothing.
    return { get: () => this.get(target, key), enumerable: true, configurable: true }
  }
}

/** A getter that is made when it is first used. */
function lazy(make: () => Getter): Getter {
  let getter: Getter | undefined
  return (row) => (getter ??= make())(row)
}

function fileGetter(batch: Batch): Getter {
  const names = native(() => addon.fileNames(batch.handle))
  const view = batch.view('__file')
  const keys = new Uint32Array(view.buffers[0]!, 0, view.offset + batch.rows)
  return (row) => names[keys[view.offset + row]!]
}

function columnGetter(batch: Batch, name: string, type: ColumnType): Getter {
  const view = batch.view(name)
  const getter = type === 'tokens' ? tokensGetter(batch, name) : valueGetter(view, batch.rows, name, type)
  if (view.validity === undefined) return getter
  const validity = new Uint8Array(view.validity)
  return (row) => ((validity[row >> 3]! >> (row & 7)) & 1 ? getter(row) : null)
}

/** Typed arrays by Arrow type. */
const NUMBERS = {
  Int8: Int8Array,
  Int16: Int16Array,
  Int32: Int32Array,
  UInt8: Uint8Array,
  UInt16: Uint16Array,
  UInt32: Uint32Array,
  Float32: Float32Array,
  Float64: Float64Array,
} as const

function valueGetter(view: NativeColumn, rows: number, name: string, type: ColumnType): Getter {
  const { dataType, buffers, offset } = view
  const [first, second] = buffers as [ArrayBuffer, ArrayBuffer]
  const end = offset + rows
  if (type !== 'other') {
    if (dataType === 'Utf8') {
      const offsets = new Int32Array(first, 0, end + 1)
      return textGetter(second, type, (row) => offsets[offset + row]!)
    }
    if (dataType === 'LargeUtf8') {
      const offsets = new BigInt64Array(first, 0, end + 1)
      return textGetter(second, type, (row) => Number(offsets[offset + row]))
    }
    if (dataType === 'Boolean') {
      const bits = new Uint8Array(first)
      return (row) => ((bits[(offset + row) >> 3]! >> ((offset + row) & 7)) & 1) === 1
    }
    if (dataType === 'Int64' || dataType === 'UInt64') {
      const values = dataType === 'Int64' ? new BigInt64Array(first, 0, end) : new BigUint64Array(first, 0, end)
      return (row) => whole(values[offset + row]!)
    }
    if (Object.hasOwn(NUMBERS, dataType)) {
      const values = new NUMBERS[dataType as keyof typeof NUMBERS](first, 0, end)
      return (row) => values[offset + row]
    }
  }
  throw new GristmillError('GM_COLUMN_TYPE', `column '${name}' of Arrow type ${dataType} cannot be read by a function`)
}

function textGetter(bytes: ArrayBuffer, type: ColumnType, offset: (row: number) => number): Getter {
  const buffer = Buffer.from(bytes)
  const text = (row: number): string => buffer.toString('utf8', offset(row), offset(row + 1))
  return type === 'json' ? (row) => JSON.parse(text(row)) as unknown : text
}

function whole(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

function tokensGetter(batch: Batch, name: string): Getter {
  const { offsets, values }: NativeLists = native(() => addon.tokenLists(batch.handle, name))
  return (row) => values.slice(offsets[row], offsets[row + 1])
}
