/**
 * Removes rows for which a condition does not hold.
 *
 * A condition is an expression (docs/expressions.md) or, in a pipeline module, a function of the row. As in
 * SQL, a row for which the expression is unknown, because a column is null, is removed. The operands of a
 * top-level `and` are rules of their own: each removed row is recorded under the first that it fails, with
 * the measured value and the threshold where the rule is `measure op number`. In `annotate` mode every row stays,
 * and a column says whether the condition holds.
 */
import { z } from 'zod'
import { GristmillError } from '../core/errors.js'
import { type Ast, conjuncts, parseCondition, printExpression, simpleThreshold } from '../expressions/index.js'
import type { Batch, Columns, ColumnType } from '../kernels/batch.js'
import { Expression } from '../kernels/expression.js'
import { setColumn } from '../kernels/columns.js'
import { RowReader } from '../kernels/rows.js'
import { checkNewName, withColumns } from './columns.js'
import { type Measured, type StepContext, type StepRunner, defineMapStep } from './step.js'
import { type RowFunction, forEachRow } from './user-function.js'

const annotateOptions = {
  mode: z
    .enum(['annotate', 'remove'])
    .default('remove')
    .describe('`annotate` says in a column whether the condition holds and removes nothing'),
  passesColumn: z
    .string()
    .default('passes')
    .describe('column that gets true, false, or null where the condition is unknown, with mode: annotate'),
}

const FilterConfig = z.union(
  [
    z.string().describe('condition that the rows to keep fulfil, as in length(text) >= 64'),
    z
      .strictObject({
        expr: z.string().describe('condition that the rows to keep fulfil, as in length(text) >= 64'),
        ...annotateOptions,
      })
      .readonly(),
    z
      .strictObject({
        function: z.int().min(0).describe('index of a function of the pipeline module; set by .filter()'),
        ...annotateOptions,
      })
      .readonly(),
  ],
  { error: 'expected a condition, as in "length(text) >= 64"' },
)

export type FilterConfig = z.infer<typeof FilterConfig>

/** One condition all of whose failures are recorded alike. */
interface Rule {
  readonly ast: Ast
  readonly rule: string
  readonly threshold: number | undefined
}

/** `passes` is the column of `annotate` mode. */
export type FilterPayload = { readonly passes: string | undefined } & (
  | { readonly kind: 'expression'; readonly ast: Ast; readonly rules: readonly Rule[] }
  | { readonly kind: 'function'; readonly function: number; readonly columns: Columns }
)

export const filter = defineMapStep<FilterConfig, FilterPayload>({
  name: 'filter',
  summary: 'removes the rows for which a condition does not hold',
  example: '- filter: "length(text) >= 64"',
  config: FilterConfig,

  async prepare(config, { columns, place }) {
    const passes = typeof config === 'object' && config.mode === 'annotate' ? config.passesColumn : undefined
    if (passes !== undefined) checkPasses(passes, place)
    const columnsOut = passes === undefined ? columns : withColumns(columns, [{ name: passes, type: 'boolean' }])
    if (typeof config === 'object' && 'function' in config) {
      const payload = { kind: 'function', function: config.function, columns, passes } as const
      return { columns: columnsOut, identity: null, payload }
    }
    const { ast } = parseCondition(typeof config === 'string' ? config : config.expr, columns, place)
    const rules = conjuncts(ast).map((part) => ({
      ast: part,
      rule: printExpression(part),
      threshold: simpleThreshold(part)?.threshold,
    }))
    return { columns: columnsOut, identity: null, payload: { kind: 'expression', ast, rules, passes } }
  },

  open: (payload, context) =>
    payload.kind === 'function'
      ? byFunction(context.userFunction(payload.function) as RowFunction, payload, context)
      : payload.passes === undefined
        ? byExpression(payload.rules, context)
        : annotating(payload.ast, payload.passes),

  measure: (payload, batch) =>
    payload.kind === 'expression' ? payload.rules.map((rule) => measured(rule, batch)) : [],
})

function checkPasses(column: string, place: string): void {
  checkNewName(column, place)
  if (column !== 'id' && column !== 'text') return
  throw new GristmillError('GM_CONFIG', `${place}.passesColumn: '${column}' must stay a text`, {
    hint: 'give the column another name',
  })
}

/** A rule held against the one row of a batch. */
function measured({ ast, rule }: Rule, batch: Batch): Measured {
  const simple = simpleThreshold(ast)
  new Expression(ast).setColumn(batch, PASSES, 'boolean')
  const passes = valueOf(batch, PASSES, 'boolean') === true
  if (!simple) return { rule, value: valueOf(batch, PASSES, 'boolean') as boolean | null, passes }
  const one: Ast = { kind: 'literal', type: 'float64', value: 1 }
  new Expression({ kind: 'arithmetic', op: '*', left: simple.measure, right: one }).setColumn(batch, MEASURE, 'float64')
  const value = valueOf(batch, MEASURE, 'float64') as number | null
  return { rule, value, threshold: simple.threshold, passes }
}

/** Columns that a measured row gets; no column of a user starts with two underscores. */
const [PASSES, MEASURE] = ['__passes', '__measure']

function valueOf(batch: Batch, name: string, type: ColumnType): unknown {
  using reader = new RowReader(batch, [{ name, type }])
  return reader.value(0, name)
}

function byExpression(rules: readonly Rule[], { removed, step }: StepContext): StepRunner {
  const compiled = rules.map((rule) => ({ ...rule, expression: new Expression(rule.ast) }))
  return {
    run(batch) {
      for (const { expression, rule, threshold } of compiled) {
        if (batch.keptRows === 0) break
        expression.filter(batch, removed, { step, rule, threshold })
      }
      return undefined
    },
    [Symbol.dispose]() {},
  }
}

function annotating(ast: Ast, column: string): StepRunner {
  const expression = new Expression(ast)
  return {
    run(batch) {
      expression.setColumn(batch, column, 'boolean')
      return undefined
    },
    [Symbol.dispose]() {},
  }
}

function byFunction(
  fn: RowFunction,
  { columns, passes }: { readonly columns: Columns; readonly passes: string | undefined },
  { removed, step }: StepContext,
): StepRunner {
  return {
    async run(batch) {
      const keep = new Uint8Array(Math.ceil(batch.rows / 8))
      {
        using reader = new RowReader(batch, columns)
        await forEachRow(batch, reader, step, fn, (result, _row, index) => {
          if (result) keep[index >> 3]! |= 1 << (index & 7)
        })
      }
      if (passes === undefined) batch.change((handle) => removed.remove(handle, keep, step, 'function'))
      else setColumn(batch, passes, 'boolean', passing(keep, batch.rows))
      return undefined
    },
    [Symbol.dispose]() {},
  }
}

const passing = (keep: Uint8Array, rows: number): boolean[] =>
  Array.from({ length: rows }, (_, row) => ((keep[row >> 3]! >> (row & 7)) & 1) === 1)
