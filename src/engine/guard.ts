/**
 * The guard: a step that removed nearly all rows of one source or one language stops the run, before what is
 * left goes anywhere.
 *
 * Tasks count the rows that enter each step and those it removes, by the values of the columns `source` and
 * `lang` and by both together; here the counts of a stage's tasks are added up, and those of each column judged. English stop words empty a Chinese
 * corpus without an error; these counts are where it shows.
 */
import type { NativeStepGroups } from '../../native/index.js'
import { GristmillError } from '../core/errors.js'
import { formatCount, formatPercent } from '../core/units.js'
import type { GroupMetrics, StageMetrics } from '../observe/metrics.js'

/** Rows of a value below which nothing is judged. */
export const GUARD_ROWS = 1000
/** Share of a value's rows that a step may remove. */
export const GUARD_SHARE = 0.9
/** Different values of a column in a stage above which it is no grouping; see crates/kernels/src/groups.rs. */
const MAX_VALUES = 4096
/** Findings that a message names. */
const SHOWN = 5

/** What one task counted: rows that entered steps, and rows that steps removed. */
export interface TaskGroups {
  readonly entered: readonly NativeStepGroups[]
  readonly removed: readonly NativeStepGroups[]
}

/** `--allow STEP` or `--allow STEP:VALUE`. */
export interface Allowance {
  readonly step: string
  /** Undefined: every value. */
  readonly value: string | undefined
}

/** Reads `STEP[:VALUE]`. */
export function parseAllowance(text: string): Allowance {
  const at = text.indexOf(':')
  return at < 0 ? { step: text, value: undefined } : { step: text.slice(0, at), value: text.slice(at + 1) }
}

/** The counts of many tasks. Entries of a boundary's step come in two stages: where rows entered, and where they left. */
export class GroupTally {
  /** By column, by value or pair of values, and by step. */
  readonly #columns = new Map<string, Map<string, Counted>>()
  readonly #leftOut = new Set<string>()

  add({ entered, removed }: TaskGroups): void {
    for (const groups of entered) this.#addStep(groups, 'rowsIn')
    for (const groups of removed) this.#addStep(groups, 'removed')
  }

  #addStep({ step, counts, leftOut }: NativeStepGroups, what: 'rowsIn' | 'removed'): void {
    for (const column of leftOut) this.#leftOut.add(column)
    for (const { column, value, otherValue, rows } of counts) {
      if (this.#leftOut.has(column)) continue
      const values = getOrMake(this.#columns, column, () => new Map<string, Counted>())
      const of = { value, ...(otherValue !== undefined && { otherValue }) }
      const key = otherValue === undefined ? value : JSON.stringify([value, otherValue])
      const { steps } = getOrMake(values, key, () => ({ of, steps: new Map() }))
      getOrMake(steps, step, () => ({ rowsIn: 0, removed: 0 }))[what] += rows
      if (values.size > MAX_VALUES) this.#leftOut.add(column)
    }
    for (const column of this.#leftOut) this.#columns.delete(column)
  }

  /** The counts of a step, by column and value. */
  ofStep(step: string): GroupMetrics[] {
    const found: GroupMetrics[] = []
    for (const [column, values] of [...this.#columns].toSorted(byKey)) {
      for (const [, { of, steps }] of [...values].toSorted(byKey)) {
        const counts = steps.get(step)
        // Rows that the step removed but that did not enter with the value (it sets the column itself) have no share.
        if (counts && counts.rowsIn > 0) found.push({ column, ...of, ...counts })
      }
    }
    return found
  }
}

interface Counted {
  readonly of: Pick<GroupMetrics, 'value' | 'otherValue'>
  readonly steps: Map<string, { rowsIn: number; removed: number }>
}

const byKey = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1)

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key)
  if (value === undefined) map.set(key, (value = make()))
  return value
}

/** The metrics of a stage with what steps removed by source and language; a boundary's steps have none of their own. */
export function withGroups(metrics: StageMetrics, steps: readonly string[], tally: GroupTally): StageMetrics {
  const counted = metrics.steps.map((step) => {
    const groups = steps.includes(step.step) ? tally.ofStep(step.step).filter(({ removed }) => removed > 0) : []
    return groups.length > 0 ? { ...step, groups } : step
  })
  return { ...metrics, steps: counted }
}

/** A step that removed nearly all rows of a value. */
export interface GuardFinding extends GroupMetrics {
  readonly step: string
}

/** What is wrong with a stage, among the steps that are judged. */
export function findEmptied(
  tally: GroupTally,
  steps: readonly string[],
  allowed: readonly Allowance[],
): GuardFinding[] {
  return steps.flatMap((step) =>
    tally
      .ofStep(step)
      .filter(({ otherValue }) => otherValue === undefined)
      .filter(({ rowsIn, removed }) => rowsIn >= GUARD_ROWS && removed / rowsIn > GUARD_SHARE)
      .filter(({ value }) => !allowed.some((one) => one.step === step && (one.value ?? value) === value))
      .map((group) => ({ step, ...group })),
  )
}

/** The error that stops the run. */
export function guardError(findings: readonly GuardFinding[]): GristmillError {
  const lines = findings.slice(0, SHOWN).map(({ step, column, value, rowsIn, removed }) => {
    const share = formatPercent(removed / rowsIn, 1)
    return `${step} removed ${formatCount(removed)} of ${formatCount(rowsIn)} rows (${share}) with ${column} ${value}`
  })
  if (findings.length > SHOWN) lines.push(`and ${findings.length - SHOWN} more`)
  const allow = findings.slice(0, SHOWN).map(({ step, value }) => `--allow ${quoted(`${step}:${value}`)}`)
  return new GristmillError('GM_GUARD', lines.join('\n'), {
    hint: `if that is meant, run the same command with ${allow.join(' ')}; nothing is computed again`,
  })
}

const quoted = (text: string): string => (/^[\w:./-]+$/u.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`)
