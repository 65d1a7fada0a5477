/**
 * Which user columns a source has: those of a sample, as `source.columns` and `source.types` select and
 * type them. The document column comes first and is called `text`; the id column is not one of them.
 */
import { GristmillError, nearest } from '../core/errors.js'
import type { Columns, ColumnType } from '../kernels/batch.js'
import type { SourceOptions } from './source.js'

/** Names that batches use themselves. */
const RESERVED = new Set(['__file', '__position', 'id', 'text'])

/** Types a record format can produce. */
const STATED_TYPES = new Set<ColumnType>(['string', 'int64', 'float64', 'boolean', 'json'])

export interface SampledColumns {
  /** Records seen; 0 when there was nothing to look at. */
  readonly records: number
  /** Names in the files and inferred types, in order of appearance. */
  readonly columns: Columns
}

export function chooseColumns(sample: SampledColumns, options: SourceOptions): Columns {
  const found = new Map(sample.columns.map(({ name, type }) => [name, type]))
  checkTypes(options)
  checkDocument(sample, found, options)
  const names = options.columns ?? [...found.keys(), ...Object.keys(options.types)]
  const chosen = new Map<string, ColumnType>([['text', 'string']])
  for (const name of names) {
    if (name === options.text || name === options.id || chosen.has(name)) {
      if (name === 'text' && name !== options.text && options.text !== '') throw collision(name, options)
      continue
    }
    if (RESERVED.has(name)) throw collision(name, options)
    chosen.set(name, typeOf(name, found, sample, options))
  }
  return [...chosen].map(([name, type]) => ({ name, type }))
}

function typeOf(
  name: string,
  found: ReadonlyMap<string, ColumnType>,
  sample: SampledColumns,
  options: SourceOptions,
): ColumnType {
  const stated = Object.hasOwn(options.types, name) ? options.types[name] : undefined
  const type = stated ?? found.get(name)
  if (type !== undefined) return type
  // Without a single record there is nothing to disagree with.
  if (sample.records === 0) return 'json'
  throw missing(
    name,
    found,
    `source.columns names '${name}'`,
    `state its type if it is rare: source.types: { ${name}: … }`,
  )
}

function checkDocument(sample: SampledColumns, found: ReadonlyMap<string, ColumnType>, options: SourceOptions): void {
  if (sample.records === 0 || options.onMissing === 'empty' || found.has(options.text)) return
  throw missing(options.text, found, `the document column is '${options.text}' (source.text)`, 'set source.text')
}

function missing(name: string, found: ReadonlyMap<string, ColumnType>, claim: string, remedy: string): GristmillError {
  const names = [...found.keys()]
  const near = nearest(name, names)
  const meant = near === undefined ? '' : `; did you mean '${near}'?`
  const seen =
    names.length === 0 ? 'the sampled records have no columns' : `the sampled records have ${names.join(', ')}`
  return new GristmillError('GM_COLUMN_MISSING', `${claim}, but ${seen}${meant}`, { hint: remedy })
}

function collision(name: string, options: SourceOptions): GristmillError {
  const role =
    name === 'text'
      ? `the document column '${options.text}' is called that`
      : name === 'id'
        ? `the id column '${options.id}' is called that`
        : 'the name is reserved'
  return new GristmillError(
    'GM_CONFIG',
    `column '${name}' of the input cannot be kept under its name: ${role} from here on`,
    {
      hint: `list the columns to keep under source.columns, without '${name}'`,
    },
  )
}

function checkTypes(options: SourceOptions): void {
  for (const [name, type] of Object.entries(options.types)) {
    if (STATED_TYPES.has(type)) continue
    throw new GristmillError('GM_CONFIG', `source.types.${name} is '${type}', which files of records cannot hold`, {
      hint: `use one of ${[...STATED_TYPES].join(', ')}`,
    })
  }
}
