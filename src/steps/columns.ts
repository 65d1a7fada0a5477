/**
 * Names of columns in the configuration of steps: what exists, what may be set.
 */
import { GristmillError, nearest } from '../core/errors.js'
import type { Columns } from '../kernels/batch.js'
import type { PrepareContext } from './step.js'

/** The column of that name; an error that names the nearest one when there is none. */
export function findColumn(columns: Columns, name: string, place: string): Columns[number] {
  const column = columns.find((one) => one.name === name)
  if (column !== undefined) return column
  const names = columns.map((one) => one.name)
  const near = nearest(name, names)
  const advice = near === undefined ? '' : `; did you mean '${near}'?`
  throw new GristmillError('GM_COLUMN_MISSING', `${place}: there is no column '${name}'${advice}`, {
    hint: `the columns are ${names.join(', ')}`,
  })
}

/** Refuses a column that is not there or holds no text. */
export function checkText(column: string, { columns, place }: Pick<PrepareContext, 'columns' | 'place'>): void {
  const { type } = findColumn(columns, column, place)
  if (type !== 'string') {
    throw new GristmillError('GM_COLUMN_TYPE', `${place}: column '${column}' is ${type}, not text`)
  }
}

/** Refuses a name that a step may not give to a column. */
export function checkNewName(name: string, place: string): void {
  if (name === '' || name.startsWith('__')) {
    throw new GristmillError('GM_CONFIG', `${place}: a column cannot be called '${name}'`, {
      hint: 'names that start with __ belong to the engine',
    })
  }
}

/** Refuses to touch `id`, for steps that drop or rename. */
export function refuseId(name: string, doing: string, place: string): void {
  if (name === 'id') {
    throw new GristmillError('GM_CONFIG', `${place}: 'id' cannot be ${doing}`, {
      hint: 'every row keeps its id; another column becomes the id with `source.id`',
    })
  }
}

/** The columns with some replaced, in their place, or added at the end. */
export function withColumns(columns: Columns, changes: Columns): Columns {
  const types = new Map(columns.map(({ name, type }) => [name, type]))
  for (const { name, type } of changes) if (name !== 'id') types.set(name, type)
  return [...types].map(([name, type]) => ({ name, type }))
}
