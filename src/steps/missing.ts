/**
 * Fills rows that lack a value in a column, or removes them.
 *
 * A value is missing where it is null or, in a column of numbers, not a number (NaN). An empty text is a value. Means
 * and medians are floats, so they make a column of whole numbers one of floats, as scikit-learn's SimpleImputer does.
 */
import { z } from 'zod'
import type { ColumnType } from '../kernels/batch.js'
import { type ColumnChange, checkFrom, checkValue, columnsOf, defineTableStep, From, needType } from './table-step.js'

const NUMBERS: readonly ColumnType[] = ['int64', 'float64']
const FILLABLE: readonly ColumnType[] = ['string', 'int64', 'float64', 'boolean']

const Policy = z.union([
  z.enum(['mean', 'median', 'most_frequent', 'drop']),
  z.strictObject({ constant: z.union([z.string(), z.number(), z.boolean()]) }),
])

const MissingConfig = z
  .strictObject({
    columns: columnsOf(
      Policy,
      'what rows without a value get, by column: the `mean`, the `median` or the `most_frequent` value of the column, or `{ constant: VALUE }`; `drop` removes them',
    ),
    from: From,
  })
  .superRefine((config, context) => checkFrom(config, context))
  .readonly()

export type MissingConfig = z.infer<typeof MissingConfig>

export const missing = defineTableStep<MissingConfig>({
  name: 'missing',
  summary: 'fills rows that lack a value with a mean, median, most frequent value or constant, or removes them',
  example: '- missing: { columns: { age: median, city: most_frequent, note: { constant: "" }, id: drop } }',
  config: MissingConfig,

  changes({ columns = {} }, typeOf, place) {
    const changes = Object.entries(columns).map(([name, policy]): [string, ColumnChange] => {
      const type = typeOf(name)
      const of = `${place}.columns.${name}`
      if (policy === 'drop') return [name, { transform: { method: 'drop' } }]
      if (policy === 'mean' || policy === 'median') {
        needType(name, type, NUMBERS, `${of}: a ${policy}`)
        return [name, { find: policy, transform: { method: 'fill', value: 0, becomes: 'float64' } }]
      }
      needType(name, type, FILLABLE, `${of}: a value to fill in`)
      if (policy !== 'most_frequent') {
        checkValue(policy.constant, type, of)
        return [name, { transform: { method: 'fill', value: policy.constant, becomes: type } }]
      }
      const value = type === 'string' ? '' : type === 'boolean' ? false : 0
      return [name, { find: 'most-frequent', transform: { method: 'fill', value, becomes: type } }]
    })
    return new Map(changes)
  },
})
