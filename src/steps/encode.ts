/**
 * Turns categories into numbers: a list of 0 and 1, one for each category, or the category's place.
 *
 * Categories that are not given are the column's distinct values in rising order (texts by their code points), as
 * scikit-learn's OneHotEncoder and OrdinalEncoder have them. A one-hot column stays one column: how many categories
 * there are is known only when all rows were seen, the columns of a run when it is planned.
 */
import { z } from 'zod'
import { type ColumnChange, checkFrom, checkValue, columnsOf, defineTableStep, From, needType } from './table-step.js'

/** A list of so many bytes for each row; an id taken for a category has more. */
const MAX_CATEGORIES = 1000

const category = z.union([z.string(), z.number(), z.boolean()])
const distinct = <T extends z.ZodType>(value: T): z.ZodArray<T> =>
  z
    .array(value)
    .min(1)
    .refine((values) => new Set(values).size === values.length, 'a category is named twice')

const Encoding = z.union([
  z.enum(['one-hot', 'ordinal']),
  z.strictObject({ 'one-hot': distinct(category.nullable()) }),
  z.strictObject({ ordinal: distinct(category) }),
])

const EncodeConfig = z
  .strictObject({
    columns: columnsOf(
      Encoding,
      'how to encode, by column: `one-hot` or `ordinal`; or with which categories: `{ one-hot: [VALUE, …] }`, where null is for rows without a value, or `{ ordinal: [VALUE, …] }`',
    ),
    unknown: z
      .enum(['error', 'ignore'])
      .default('error')
      .describe(
        'what becomes of a category that is not among those of its column: the run stops, or the list has no 1 and the ordinal is `unknownValue`',
      ),
    unknownValue: z.int().optional().describe('ordinal of an ignored category; null if not stated'),
    drop: z
      .enum(['none', 'first', 'if_binary'])
      .optional()
      .describe(
        'which category of a one-hot column has no place of its own: none, the first, or the first of two; none if not stated',
      ),
    maxCategories: z
      .int()
      .min(1)
      .default(MAX_CATEGORIES)
      .describe('a column in which more categories are found stops the run'),
    from: From,
  })
  .superRefine((config, context) => {
    checkFrom(config, context, ['drop'])
    if (config.unknownValue !== undefined && config.unknown === 'error') {
      context.addIssue({ code: 'custom', path: ['unknownValue'], message: 'is for unknown: ignore' })
    }
  })
  .readonly()

export type EncodeConfig = z.infer<typeof EncodeConfig>

export const encode = defineTableStep<EncodeConfig>({
  name: 'encode',
  summary: 'turns categories into numbers, one-hot or ordinal',
  example: '- encode: { columns: { city: one-hot, grade: { ordinal: [low, middle, high] } }, unknown: ignore }',
  config: EncodeConfig,

  changes({ columns = {}, drop = 'none' }, typeOf, place) {
    const changes = Object.entries(columns).map(([name, encoding]): [string, ColumnChange] => {
      const [type, of] = [typeOf(name), `${place}.columns.${name}`]
      needType(name, type, ['string', 'int64', 'float64', 'boolean'], `${of}: encoding`)
      if (encoding === 'one-hot') {
        return [name, { find: 'categories', transform: { method: 'one-hot', categories: [], drop } }]
      }
      if (encoding === 'ordinal') {
        return [name, { find: 'categories', transform: { method: 'ordinal', categories: [] } }]
      }
      if ('ordinal' in encoding) {
        for (const value of encoding.ordinal) checkValue(value, type, of)
        return [name, { transform: { method: 'ordinal', categories: encoding.ordinal } }]
      }
      const categories = encoding['one-hot']
      for (const value of categories) if (value !== null) checkValue(value, type, of)
      return [name, { transform: { method: 'one-hot', categories, drop } }]
    })
    return new Map(changes)
  },

  options: ({ unknown, unknownValue }) => ({ unknown, unknownValue }),
  maxCategories: (config) => config.maxCategories,
})
