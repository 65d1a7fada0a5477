/**
 * Columns of columnar files: which ones a source has, and which of a file's become which of the batches.
 *
 * Files of one source must agree on the columns that are kept, up to lossless widening (small integers where
 * floats are wanted, a column that is null throughout); otherwise the error names the files and the column.
 */
import { mapConcurrent } from '../core/concurrent.js'
import { GristmillError, nearest } from '../core/errors.js'
import type { Columns, ColumnType } from '../kernels/batch.js'
import type { FileColumn, FileColumnType, Selection } from '../kernels/columnar.js'
import { chooseColumns } from './column-choice.js'
import { sampledFiles } from './record-source.js'
import type { InputFile, SourceOptions } from './source.js'

/** Files whose schemas are read at a time. */
const CONCURRENT_LOOKS = 8

/** Integers that every float64 holds exactly. */
const SMALL_INTEGERS = new Set(['Int8', 'Int16', 'Int32', 'UInt8', 'UInt16', 'UInt32'])

/** A file and the columns it has. */
export interface Schema {
  readonly file: InputFile
  readonly columns: readonly FileColumn[]
}

/** The user columns of a source, from a look at up to 16 of its files; `look` gives none for a damaged file. */
export async function columnsOfFiles(
  files: readonly InputFile[],
  options: SourceOptions,
  look: (file: InputFile) => Promise<readonly FileColumn[] | undefined>,
): Promise<Columns> {
  const chosen = sampledFiles(files.filter((file) => file.size > 0))
  const looks = await mapConcurrent(chosen, CONCURRENT_LOOKS, async (file) => ({ file, columns: await look(file) }))
  return columnsOfSchemas(
    looks.filter((schema): schema is Schema => schema.columns !== undefined),
    options,
  )
}

/** The user columns of files that have those columns. */
export function columnsOfSchemas(schemas: readonly Schema[], options: SourceOptions): Columns {
  return holdsTokens(schemas, options) ? tokenColumns(schemas, options) : textColumns(schemas, options)
}

/** Files without the document column may hold documents that were tokenised already. */
function holdsTokens(schemas: readonly Schema[], { text }: SourceOptions): boolean {
  const isTokens = ({ name, type }: FileColumn): boolean => name === 'tokens' && type === 'integers'
  const without = schemas.every(({ columns }) => columns.every(({ name }) => name !== text))
  return text !== '' && without && schemas.length > 0 && schemas.every(({ columns }) => columns.some(isTokens))
}

/** Token ids take the place of the document. */
function tokenColumns(schemas: readonly Schema[], options: SourceOptions): Columns {
  const { columns } = options
  const kept = columns && (columns.includes('tokens') ? columns : [...columns, 'tokens'])
  const others = textColumns(schemas, { ...options, text: '', onMissing: 'empty', columns: kept })
  return others
    .filter(({ name }) => name !== 'text')
    .map((column) => (column.name === 'tokens' ? { ...column, type: 'tokens' } : column))
}

function textColumns(schemas: readonly Schema[], options: SourceOptions): Columns {
  if (options.text !== '' && options.onMissing !== 'empty') {
    for (const schema of schemas) requireColumn(schema, options.text, 'the document column (source.text)')
  }
  const names = new Set(schemas.flatMap(({ columns }) => columns.map(({ name }) => name)))
  const needed = (name: string): boolean => options.columns === undefined || options.columns.includes(name)
  const columns = [...names].map((name) => {
    const roles = name === options.text || name === options.id
    return { name, type: roles || !needed(name) ? ('other' as const) : commonType(name, schemas, options) }
  })
  return chooseColumns({ records: schemas.length, columns }, options)
}

/** The type that holds a column of all files. */
function commonType(name: string, schemas: readonly Schema[], options: SourceOptions): ColumnType {
  const stated = Object.hasOwn(options.types, name) ? options.types[name] : undefined
  let common: { readonly type: ColumnType; readonly column: FileColumn; readonly file: InputFile } | undefined
  for (const schema of schemas) {
    const column = requireColumn(schema, name, 'a column that is kept')
    const { file } = schema
    const type = stated ?? columnType(column.type)
    if (stated !== undefined && !fits(column, stated))
      throw disagreement(name, file, column, `source.types has ${stated}`)
    if (type === undefined || (common !== undefined && fits(column, common.type))) continue
    if (common !== undefined && !fits(common.column, type)) {
      throw disagreement(name, file, column, `${describe(common.column)} in ${common.file.path}`)
    }
    common = { type, column, file }
  }
  return common?.type ?? stated ?? 'string'
}

/** How the engine calls a file's type; undefined when nothing but null is there. */
function columnType(type: FileColumnType): ColumnType | undefined {
  if (type === 'null') return undefined
  return type === 'binary' || type === 'integers' ? 'other' : type
}

/** Whether a file's column can become a column of `type` without loss. */
function fits(column: FileColumn, type: ColumnType): boolean {
  if (column.type === 'null') return type !== 'other'
  switch (type) {
    case 'string':
    case 'json':
      return column.type === 'string' || column.type === 'json' || column.type === 'binary'
    case 'float64':
      return column.type === 'float64' || SMALL_INTEGERS.has(column.arrowType)
    case 'other':
      return column.type === 'other' || column.type === 'binary' || column.type === 'integers'
    case 'tokens':
      return column.type === 'integers'
    default:
      return column.type === type
  }
}

/** What to read of a file for the source's columns. */
export function selectColumns(
  file: InputFile,
  found: readonly FileColumn[],
  columns: Columns,
  options: SourceOptions,
): Selection {
  const schema = { file, columns: found }
  const selected = columns.map(({ name, type, arrowType }) => {
    const source = name === 'text' ? options.text : name
    if (name === 'text' && options.onMissing === 'empty' && !found.some((one) => one.name === source)) {
      return { name, source: '', type } // rows of a table
    }
    const role = name === 'text' ? 'the document column (source.text)' : 'a column that is kept'
    const column = requireColumn(schema, source, role)
    // Of types the engine has no name for, it knows no widening.
    const other = type === 'other' && arrowType !== undefined && arrowType !== column.arrowType
    if (name !== 'text' && (other || !fits(column, type))) {
      throw disagreement(source, file, column, `${type} in the files that were looked at first`)
    }
    return { name, source, type }
  })
  const { onMissing, maxRecordBytes } = options
  return { file: file.path, id: idColumn(schema, options), columns: selected, onMissing, maxRecordBytes }
}

/** Columns of a file that are not among those kept, though nobody said which to keep. */
export function unknownColumns(found: readonly FileColumn[], columns: Columns, options: SourceOptions): string[] {
  if (options.columns !== undefined) return []
  const known = new Set([options.text, options.id, ...columns.map(({ name }) => name)])
  return found.map(({ name }) => name).filter((name) => !known.has(name))
}

function idColumn({ file, columns }: Schema, { id }: SourceOptions): string | null {
  const column = columns.find(({ name }) => name === id)
  if (column === undefined) return null
  if (['float64', 'boolean', 'integers', 'other'].includes(column.type)) {
    const message = `${file.path}: the id column '${id}' is ${describe(column)}; an id is a string or an integer`
    throw new GristmillError('GM_COLUMN_TYPE', message, { hint: 'name another column in source.id' })
  }
  return id
}

function requireColumn({ file, columns }: Schema, name: string, role: string): FileColumn {
  const column = columns.find((column) => column.name === name)
  if (column !== undefined) return column
  const names = columns.map(({ name }) => name)
  const near = nearest(name, names)
  const meant = near === undefined ? '' : `; did you mean '${near}'?`
  const message = `${file.path} has no column '${name}', ${role}; its columns are ${names.join(', ') || 'none'}${meant}`
  throw new GristmillError('GM_COLUMN_MISSING', message, {
    hint: 'name columns that all files have in source.text and source.columns',
  })
}

function disagreement(name: string, file: InputFile, column: FileColumn, other: string): GristmillError {
  return new GristmillError('GM_SCHEMA', `column '${name}' is ${describe(column)} in ${file.path}, but ${other}`)
}

function describe({ type, arrowType }: FileColumn): string {
  return type === 'other' || type === 'binary' || type === 'integers' ? arrowType : `${type} (${arrowType})`
}
