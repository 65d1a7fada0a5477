/**
 * Scales columns of numbers: to mean 0 and deviation 1, or from their range to another.
 *
 * Results are floats and equal those of scikit-learn's StandardScaler and MinMaxScaler: the deviation is that of the
 * population, a column of one value is only shifted, and what is missing stays so and counts for nothing.
 */
import { z } from 'zod'
import { type ColumnChange, checkFrom, columnsOf, defineTableStep, From, needType } from './table-step.js'

const Scaling = z.union([
  z.enum(['standard', 'min-max']),
  z.strictObject({ mean: z.number(), scale: z.number().positive() }),
  z
    .strictObject({ min: z.number(), max: z.number() })
    .refine(({ min, max }) => min <= max, 'min must not be above max'),
])

const ScaleConfig = z
  .strictObject({
    columns: columnsOf(
      Scaling,
      'how to scale, by column: `standard` or `min-max`; or with what: `{ mean, scale }` or `{ min, max }`',
    ),
    range: z
      .array(z.number())
      .length(2)
      .refine(([low = 0, high = 0]) => low < high, 'the first must be below the second')
      .optional()
      .describe('where min-max puts the smallest and the largest value; [0, 1] if not stated'),
    clip: z
      .boolean()
      .optional()
      .describe('whether min-max holds values of later data inside range; false if not stated'),
    from: From,
  })
  .superRefine((config, context) => checkFrom(config, context, ['range', 'clip']))
  .readonly()

export type ScaleConfig = z.infer<typeof ScaleConfig>

export const scale = defineTableStep<ScaleConfig>({
  name: 'scale',
  summary: 'scales columns of numbers, to mean 0 and deviation 1 or to a range',
  example: '- scale: { columns: { age: standard, income: min-max }, range: [0, 1] }',
  config: ScaleConfig,

  changes({ columns = {}, range: [low = 0, high = 1] = [], clip = false }, typeOf, place) {
    const range = [low, high] as const
    const changes = Object.entries(columns).map(([name, scaling]): [string, ColumnChange] => {
      needType(name, typeOf(name), ['int64', 'float64'], `${place}.columns.${name}: scaling`)
      if (scaling === 'standard') {
        return [name, { find: scaling, transform: { method: 'standard', mean: 0, scale: 1 } }]
      }
      if (scaling === 'min-max') {
        return [name, { find: scaling, transform: { method: 'min-max', min: 0, max: 1, range, clip } }]
      }
      if ('mean' in scaling) return [name, { transform: { method: 'standard', ...scaling } }]
      return [name, { transform: { method: 'min-max', ...scaling, range, clip } }]
    })
    return new Map(changes)
  },
})
