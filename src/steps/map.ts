/**
 * Computes columns: by expressions, or by a function of a pipeline module.
 *
 * By expressions, `map: { n: "length(text)" }` sets the column `n`, which is replaced or added as the last;
 * an expression sees the columns set before it. `id` can be set to a text, file and position cannot.
 *
 * By a function, the row it returns replaces the row it was given: `row => ({ ...row, n: row.text.length })`
 * adds a column, columns it leaves out go. It may also change the row and return it. Columns it does not
 * touch are not copied. The identity of the row (file and position) stays; a changed `id` is taken over.
 * Types come from `columns`, or from trying the function on a few rows when the run is planned:
 * - with `columns`, the columns that come in stay and those stated are set; a row that lacks one has null;
 * - without, the rows returned for the sample tell: texts, booleans, numbers (float64; int64 where the column
 *   was that before and all are whole; bigint is int64), Uint32Array (tokens), and json for the rest.
 * A later value that does not fit its column's type is an error: nothing is converted or dropped in silence.
 */
import { z } from 'zod'
import { parseExpression } from '../expressions/index.js'
import { GristmillError } from '../core/errors.js'
import type { Columns } from '../kernels/batch.js'
import { Expression } from '../kernels/expression.js'
import { checkNewName, withColumns } from './columns.js'
import { inferColumns, mapByFunction } from './map-function.js'
import { type PrepareContext, type Prepared, type StepRunner, defineMapStep } from './step.js'
import type { RowFunction } from './user-function.js'

const ColumnTypes = z.record(z.string(), z.enum(['string', 'int64', 'float64', 'boolean', 'json', 'tokens']))

const FunctionConfig = z
  .strictObject({
    function: z.int().min(0).describe('index of a function of the pipeline module; set by .map()'),
    columns: ColumnTypes.optional().describe('types of the columns that the function sets'),
  })
  .readonly()

const MapConfig = z.union(
  [FunctionConfig, z.record(z.string(), z.string()).readonly().describe('expression by the column it sets')],
  {
    error:
      'expected expressions by column, as in { n: "length(text)" }; a function needs a pipeline module, as in .map((row) => …)',
  },
)

export type MapConfig = z.infer<typeof MapConfig>

type Computed = {
  readonly name: string
  readonly type: 'string' | 'int64' | 'float64' | 'boolean'
  readonly ast: object
}

export type MapPayload =
  | { readonly kind: 'expressions'; readonly columns: readonly Computed[] }
  | { readonly kind: 'function'; readonly function: number; readonly columnsIn: Columns; readonly columnsOut: Columns }

export const map = defineMapStep<MapConfig, MapPayload>({
  name: 'map',
  summary: 'computes columns by expressions or by a function',
  example: '- map: { characters: "length(text)" }',
  config: MapConfig,

  async prepare(config, context) {
    return isFunction(config) ? prepareFunction(config, context) : prepareExpressions(config, context)
  },

  open(payload, context) {
    if (payload.kind === 'expressions') return computing(payload.columns)
    const fn = context.userFunction(payload.function) as RowFunction
    return {
      async run(batch) {
        await mapByFunction(batch, fn, context.step, payload)
        return undefined
      },
      [Symbol.dispose]() {},
    }
  },
})

function isFunction(config: MapConfig): config is z.infer<typeof FunctionConfig> {
  return typeof (config as { function?: unknown }).function === 'number'
}

function prepareExpressions(config: Readonly<Record<string, string>>, context: PrepareContext): Prepared<MapPayload> {
  let { columns } = context
  const computed: Computed[] = []
  for (const [name, source] of Object.entries(config)) {
    const place = `${context.place}.${name}`
    checkNewName(name, place)
    const { ast, type } = parseExpression(source, columns, place)
    if (type === 'null') throw new GristmillError('GM_EXPRESSION', `${place}: the column would be null in every row`)
    if ((name === 'id' || name === 'text') && type !== 'string') {
      throw new GristmillError('GM_EXPRESSION', `${place}: '${name}' must be a text, this gives ${type}`, {
        hint: `string(${source}) makes a text of it`,
      })
    }
    computed.push({ name, type, ast })
    columns = withColumns(columns, [{ name, type }])
  }
  return { columns, identity: null, payload: { kind: 'expressions', columns: computed } }
}

async function prepareFunction(
  config: z.infer<typeof FunctionConfig>,
  context: PrepareContext,
): Promise<Prepared<MapPayload>> {
  const { columns: columnsIn, place, sample, userFunction } = context
  let columnsOut: Columns
  if (config.columns !== undefined) {
    const declared = Object.entries(config.columns).map(([name, type]) => ({ name, type }))
    for (const { name, type } of declared) {
      checkNewName(name, place)
      if ((name === 'id' || name === 'text') && type !== 'string') {
        throw new GristmillError('GM_CONFIG', `${place}.columns: '${name}' must be string, not ${type}`)
      }
    }
    columnsOut = withColumns(columnsIn, declared)
  } else if (sample !== undefined && userFunction !== undefined && sample.keptRows > 0) {
    columnsOut = await inferColumns(sample, userFunction(config.function) as RowFunction, place, columnsIn)
  } else {
    throw new GristmillError('GM_CONFIG', `${place}: there are no rows to learn the function's columns from`, {
      hint: "state them, as in .map(fn, { columns: { score: 'float64' } })",
    })
  }
  const payload = { kind: 'function', function: config.function, columnsIn, columnsOut } as const
  return { columns: columnsOut, identity: { columns: columnsOut }, payload }
}

function computing(columns: readonly Computed[]): StepRunner {
  const compiled = columns.map(({ name, type, ast }) => ({ name, type, expression: new Expression(ast) }))
  return {
    run(batch) {
      for (const { name, type, expression } of compiled) expression.setColumn(batch, name, type)
      return undefined
    },
    [Symbol.dispose]() {},
  }
}
