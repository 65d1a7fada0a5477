/**
 * What `missing`, `scale` and `encode` share: each states what becomes of named columns, with parameters that are
 * given, are found in the data first, or come from a file of an earlier run.
 *
 * The steps' own files read the configuration. The engine finds parameters at a boundary (`engine/plan.ts`); the
 * kernels are in crates/kernels/src/tabular.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { z } from 'zod'
import { GristmillError } from '../core/errors.js'
import type { TablePayload } from '../engine/plan.js'
import type { ColumnType, Columns } from '../kernels/batch.js'
import { Table, type TableOptions } from '../kernels/table.js'
import { findColumn, refuseId, withColumns } from './columns.js'
import { defineMapStep, type MapStep, type PrepareContext } from './step.js'

/** What becomes of a column, as the kernels read it; see `Transform` in crates/kernels/src/tabular/mod.rs. */
export type Transform =
  | { readonly method: 'drop' }
  | { readonly method: 'fill'; readonly value: Value; readonly becomes: ColumnType }
  | { readonly method: 'standard'; readonly mean: number; readonly scale: number }
  | {
      readonly method: 'min-max'
      readonly min: number
      readonly max: number
      readonly range: readonly [number, number]
      readonly clip: boolean
    }
  | { readonly method: 'one-hot'; readonly categories: readonly (Value | null)[]; readonly drop: string }
  | { readonly method: 'ordinal'; readonly categories: readonly Value[] }

export type Value = string | number | boolean

/** A column's change; with `find`, its parameters are stand-ins until they are found. */
export interface ColumnChange {
  readonly find?: 'mean' | 'median' | 'most-frequent' | 'standard' | 'min-max' | 'categories' | undefined
  readonly transform: Transform
}

/** `from`. */
export const From = z
  .string()
  .min(1)
  .optional()
  .describe(
    'a run directory or a file of its `fitted/`: the parameters found there are used, and no other option says what becomes of which column',
  )

/** `columns`, with what may be said of each. */
export const columnsOf = <T extends z.ZodType>(
  change: T,
  meaning: string,
): z.ZodOptional<z.ZodRecord<z.ZodString, T>> =>
  z
    .record(z.string().min(1), change)
    .refine((columns) => Object.keys(columns).length > 0, 'there is no column')
    .optional()
    .describe(meaning)

/** A record has `columns` or `from`, and only one of them; options of `columns` do not go with `from`. */
export function checkFrom(
  config: Readonly<Record<string, unknown>>,
  context: z.RefinementCtx,
  ownOptions: readonly string[] = [],
): void {
  if ((config['columns'] === undefined) === (config['from'] === undefined)) {
    context.addIssue({ code: 'custom', message: "state either 'columns' or 'from'" })
  }
  for (const name of config['from'] === undefined ? [] : ownOptions) {
    if (config[name] !== undefined) {
      context.addIssue({ code: 'custom', path: [name], message: "comes with the parameters: leave it out with 'from'" })
    }
  }
}

export interface TableStep<Config> {
  readonly name: string
  readonly summary: string
  readonly example: string
  readonly config: z.ZodType<Config>
  /** What becomes of a column, by its name, in a pipeline without `from`. */
  changes(config: Config, typeOf: (name: string) => ColumnType, place: string): ReadonlyMap<string, ColumnChange>
  readonly options?: (config: Config) => TableOptions
  readonly maxCategories?: (config: Config) => number
}

export function defineTableStep<Config extends { readonly from?: string | undefined }>(
  step: TableStep<Config>,
): MapStep<Config, TablePayload> {
  const { name, summary, example, config: schema, options = () => ({}), maxCategories = () => 0 } = step
  return defineMapStep<Config, TablePayload>({
    name,
    summary,
    example,
    config: schema,

    async prepare(config, context) {
      if (config.from !== undefined) return prepareFrom(name, config.from, options(config), context)
      const { columns, place } = context
      const typeOf = (column: string): ColumnType =>
        column === 'id' ? 'string' : findColumn(columns, column, place).type
      const changes = step.changes(config, typeOf, place)
      const parameters = JSON.stringify({
        schemaVersion: 1,
        step: name,
        columns: [...changes].map(([column, { find, transform }]) => ({
          name: column,
          type: typeOf(column),
          find,
          ...transform,
        })),
      })
      const payload = { kind: 'table', parameters, options: options(config) } as const
      check(payload, place)
      const fit = fitOf(changes, typeOf, maxCategories(config))
      const becomes = [...changes].map(([column, { transform }]) => [column, transform] as const)
      return { columns: changed(columns, becomes, place), identity: null, payload: { ...payload, fit } }
    },

    open({ parameters, options: given, fit }, { removed, step: label, fitted }) {
      // On a few rows that a step is tried out on, stand-ins do: the types are right.
      const tried = fit !== undefined && fitted === undefined
      const table = new Table(fit ? (fitted ?? parameters) : parameters, tried ? { unknown: 'ignore' } : given)
      return {
        run(batch) {
          table.apply(batch, removed, label)
          return undefined
        },
        [Symbol.dispose]() {},
      }
    },
  })
}

const READS = {
  drop: 'filling',
  fill: 'filling',
  standard: 'scale',
  'min-max': 'scale',
  'one-hot': 'categories',
  ordinal: 'categories',
} as const

/** What has to be found in the data first, if anything. */
function fitOf(
  changes: ReadonlyMap<string, ColumnChange>,
  typeOf: (column: string) => ColumnType,
  maxCategories: number,
): TablePayload['fit'] {
  const found = [...changes].filter(([, { find }]) => find !== undefined)
  if (found.length === 0) return undefined
  const drops = [...changes].filter(([, { transform }]) => transform.method === 'drop').map(([column]) => column)
  const reads = found.map(([column, { transform }]) => ({ column, as: READS[transform.method] }))
  const others = [...changes].filter(([column]) => !drops.includes(column))
  const changed = others.map(([column, { transform }]) => {
    if (transform.method !== 'fill') return { column, as: 'made' as const }
    return { column, as: transform.becomes === typeOf(column) ? ('filled' as const) : ('floats' as const) }
  })
  return { reads, changes: changed, drops, maxCategories }
}

/** The columns after the step. */
function changed(
  columns: Columns,
  changes: readonly (readonly [name: string, transform: { readonly method: string; readonly becomes?: ColumnType }])[],
  place: string,
): Columns {
  return withColumns(
    columns,
    changes.flatMap(([name, { method, becomes }]) => {
      if (method === 'drop') return []
      refuseId(name, 'changed', place)
      const types: Readonly<Record<string, ColumnType>> = { 'one-hot': 'other', ordinal: 'int64' }
      return [{ name, type: becomes ?? types[method] ?? 'float64' }]
    }),
  )
}

function check({ parameters, options }: Pick<TablePayload, 'parameters' | 'options'>, place: string): void {
  try {
    void new Table(parameters, options)
  } catch (error) {
    if (!(error instanceof GristmillError)) throw error
    throw new GristmillError('GM_COLUMN_TYPE', `${place}: ${error.message}`, { cause: error })
  }
}

const Parameters = z.looseObject({
  schemaVersion: z.literal(1),
  step: z.string(),
  columns: z.array(z.looseObject({ name: z.string(), type: z.string(), method: z.string() })),
})

/** The step with the parameters that an earlier run found. */
function prepareFrom(
  name: string,
  from: string,
  options: TableOptions,
  { columns, baseFolder, place }: PrepareContext,
): { columns: Columns; identity: unknown; payload: TablePayload } {
  const parameters = readFileSync(findParameters(name, from, { baseFolder, place }), 'utf8')
  let read: z.infer<typeof Parameters>
  try {
    read = Parameters.parse(JSON.parse(parameters))
  } catch (cause) {
    const hint = 'pass a run directory, or a file of its fitted/'
    throw new GristmillError('GM_FORMAT', `${place}.from: ${from} holds no parameters`, { cause, hint })
  }
  if (read.step !== name) {
    throw new GristmillError('GM_CONFIG', `${place}.from: ${from} holds the parameters of a step '${read.step}'`)
  }
  const types: Record<string, ColumnType> = {}
  for (const column of read.columns) {
    const type = column.name === 'id' ? 'string' : findColumn(columns, column.name, place).type
    if (type !== column.type && column.method !== 'drop') types[column.name] = otherNumber(column, type, place)
  }
  const payload = { kind: 'table', parameters, options: { ...options, types }, fit: undefined } as const
  check(payload, place)
  const becomes = read.columns.map((column) => [column.name, column as { method: string }] as const)
  return { columns: changed(columns, becomes, place), identity: { parameters }, payload }
}

/** Whole numbers and others may stand for each other where a column is computed with. */
function otherNumber(
  column: z.infer<typeof Parameters>['columns'][number],
  type: ColumnType,
  place: string,
): ColumnType {
  const isNumber = (one: string): boolean => one === 'int64' || one === 'float64'
  const computes = ['standard', 'min-max'].includes(column.method) || column['becomes'] === 'float64'
  if (isNumber(type) && isNumber(column.type) && computes) return type
  throw new GristmillError(
    'GM_COLUMN_TYPE',
    `${place}: the parameters of '${column.name}' are for ${column.type}, but the column is ${type}`,
  )
}

function findParameters(
  name: string,
  from: string,
  { baseFolder, place }: Pick<PrepareContext, 'baseFolder' | 'place'>,
): string {
  const at = path.resolve(baseFolder, from)
  const found = statSync(at, { throwIfNoEntry: false })
  if (found?.isFile()) return at
  const folder = path.join(at, 'fitted')
  const own = path.join(folder, `${name}.json`)
  const all = existsSync(folder) ? readdirSync(folder).toSorted() : []
  const several = all.filter((file) => /^(.*?)(?:-\d+)?\.json$/u.exec(file)?.[1] === name)
  if (several.length === 1) return path.join(folder, several[0]!)
  if (several.length > 1 && existsSync(own)) {
    throw new GristmillError('GM_CONFIG', `${place}.from: ${from} fitted several steps: ${several.join(', ')}`, {
      hint: `name the file, as in ${from}/fitted/${several[0]}`,
    })
  }
  const what = found ? `fitted no step '${name}'` : 'is not there'
  throw new GristmillError('GM_CONFIG', `${place}.from: ${from} ${what}`, {
    hint: 'pass a local run directory whose step found its parameters, or a file of its fitted/, relative to the pipeline file',
  })
}

/** Refuses a column whose type the change cannot work with. */
export function needType(name: string, type: ColumnType, wanted: readonly ColumnType[], of: string): void {
  if (wanted.includes(type)) return
  throw new GristmillError('GM_COLUMN_TYPE', `${of} needs ${wanted.join(' or ')}, but '${name}' is ${type}`, {
    ...(type === 'string' && { hint: `if it holds numbers, say so: source.types: { ${name}: float64 }` }),
  })
}

/** Refuses a value that the column cannot hold: `1` is none of a column of text. */
export function checkValue(value: Value, type: ColumnType, of: string): void {
  const fits =
    type === 'string'
      ? typeof value === 'string'
      : type === 'boolean'
        ? typeof value === 'boolean'
        : typeof value === 'number' && (type === 'float64' || Number.isSafeInteger(value))
  if (fits) return
  throw new GristmillError('GM_COLUMN_TYPE', `${of}: ${JSON.stringify(value)} is no value of a column of ${type}`, {
    ...(type === 'string' && { hint: 'write texts in quotes, or state the type of the column under source.types' }),
  })
}
