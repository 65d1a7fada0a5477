import { expect, test } from 'vitest'
import { readOptions } from '../options.js'
import { planTrain } from '../plan.js'
import { shippedCalibration } from '../time/calibration.js'
import { stepTime } from '../time/step-time.js'
import { withPreset } from '../train-plan.js'
import { resolveTrain } from '../train-request.js'
import type { ScoreLine } from '../types.js'
import { fit, type FitRow } from './fit.js'
import { measuredStep } from './measured-step.js'
import { quantile, scoreLines, summary } from './score.js'

const REQUEST = { model: 'llama-3-8b', gpus: '8xH100', seq: 4096, globalBatch: 64, sharding: 'fsdp', search: false }

test('rows carry prediction, error and interval; tables their summary', () => {
  const plan = planTrain(REQUEST)
  const { p50 } = plan.time!.stepS
  const line = (id: string, factor: number): ScoreLine => ({
    id,
    table: 'mine',
    kind: 'train',
    request: REQUEST,
    measured: { 'time.stepS': p50 * factor },
    fits: true,
  })
  const { rows, tables, unplanned } = scoreLines([line('a', 1), line('b', 2), line('c', 0.8)])
  expect(unplanned).toEqual([])
  const steps = rows.filter(({ field }) => field === 'time.stepS')
  expect(steps.map(({ id, inside, fitted }) => ({ id, inside, fitted }))).toEqual([
    { id: 'a', inside: true, fitted: false },
    { id: 'b', inside: false, fitted: false },
    { id: 'c', inside: false, fitted: false },
  ])
  const table = tables.find(({ field }) => field === 'time.stepS')!
  expect(table).toMatchObject({ table: 'mine', n: 3 })
  expect(table.median).toBeCloseTo(0.25)
  expect(table.worst).toBeCloseTo(0.5)
  expect(table.signed).toBeCloseTo(0)
  expect(table.coverage).toBeCloseTo(1 / 3)
})

test('a refused request and an unknown field are named, not scored', () => {
  const { rows, unplanned } = scoreLines([
    { id: 'a', table: 't', kind: 'train', request: { ...REQUEST, tp: 3 }, measured: { 'time.stepS': 1 } },
    { id: 'b', table: 't', kind: 'train', request: REQUEST, measured: { 'time.nonsense': 1 } },
  ])
  expect(rows).toEqual([])
  expect(unplanned.map(({ id }) => id)).toEqual(['a', 'b'])
})

test('utilisation in per cent is read as a share', () => {
  const { rows } = scoreLines([
    { id: 'a', table: 't', kind: 'train', request: REQUEST, measured: { 'throughput.mfu': 42 } },
  ])
  expect(rows[0]!.measured).toBe(0.42)
})

test('quantiles are numpy’s', () => {
  expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5)
  expect(quantile([1, 2, 3, 4, 5], 0.9)).toBeCloseTo(4.6)
  expect(summary([-0.1, 0.2], 1)).toMatchObject({ n: 2, coverage: 0.5, worst: 0.2 })
})

test('every way of stating a speed is the same seconds a step', () => {
  const request = withPreset(resolveTrain(readOptions(REQUEST, 'train'), '.'))
  const plan = planTrain(REQUEST)
  for (const field of [
    'tokensPerS',
    'tokensPerSPerGpu',
    'samplesPerSPerGpu',
    'modelTflopsPerGpu',
    'hardwareTflopsPerGpu',
    'mfu',
    'hfu',
  ] as const) {
    const measured = { [`throughput.${field}`]: plan.throughput![field].p50 }
    expect(measuredStep(request, measured)).toBeCloseTo(plan.time!.stepS.p50, 9)
  }
})

test('a fit finds back a constant that was changed', () => {
  const shipped = shippedCalibration()
  const truth = { ...shipped, shares: { ...shipped.shares, hopper: { ...shipped.shares.hopper, wide: 0.55 } } }
  const rows = [1, 2, 4].flatMap((microBatch): FitRow[] =>
    [2048, 8192].map((seq) => {
      const request = withPreset(resolveTrain(readOptions({ ...REQUEST, seq, microBatch }, 'train'), '.'))
      return {
        source: `s${seq}`,
        measuredS: stepTime(request, request.layout, truth).stepS,
        predictS: (calibration) => stepTime(request, request.layout, calibration).stepS,
      }
    }),
  )
  const found = fit(rows, shipped)
  for (const { measuredS, predictS } of rows) expect(Math.abs(predictS(found) / measuredS - 1)).toBeLessThan(0.03)
  expect(Math.abs(found.shares.hopper.wide / 0.55 - 1)).toBeLessThan(0.12)
})
