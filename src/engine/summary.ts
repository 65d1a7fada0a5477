/**
 * Sums a run up: the manifest and the metrics, from the tasks' results.
 */
import type { Histogram, Metrics, StepMetrics } from '../observe/metrics.js'
import { againstOf, comparedBy } from './against.js'
import type { Execution } from './execution.js'
import type { Gathered } from './gather.js'
import { identityOf } from './identity.js'
import type { Manifest, ManifestAttempt, ManifestIndex } from './manifest.js'
import type { MemoryPlan } from './memory.js'
import type { Plan } from './plan.js'
import type { PreparedPipeline } from './prepare.js'
import type { PackedFiles, PublicationPlan } from './publish.js'
import type { MapResult } from './task.js'

export interface Summary {
  readonly prepared: PreparedPipeline
  readonly plan: Plan
  readonly execution: Execution
  readonly publication: PublicationPlan
  readonly fitted: NonNullable<Manifest['fitted']>
  readonly packs: PackedFiles | undefined
  readonly gathered: Gathered
  readonly attempts: readonly ManifestAttempt[]
  readonly memory: MemoryPlan
  readonly started: Date
  readonly seconds: number
  readonly memorySamples: readonly { readonly seconds: number; readonly rssBytes: number }[]
  readonly options: { readonly version: string; readonly workers: number }
}

const sum = <T>(items: readonly T[], of: (item: T) => number): number =>
  items.reduce((total, item) => total + of(item), 0)

/** Results of the first stage, of all stages, and of the last. */
function resultsOf({ execution }: Summary): { first: MapResult[]; all: MapResult[]; last: MapResult[] } {
  const stages = execution.outcomes.map((outcomes) => outcomes.map(({ result }) => result))
  return { first: stages[0] ?? [], all: stages.flat(), last: stages.at(-1) ?? [] }
}

function totalsOf(summary: Summary): Required<Manifest['totals']> {
  const { first, all, last } = resultsOf(summary)
  return {
    rowsIn: sum(first, ({ counts }) => counts.rowsIn),
    added: sum(all, ({ counts }) => counts.added),
    rowsOut: sum(last, ({ counts }) => counts.rowsOut),
    removed: sum(all, ({ counts }) => counts.removed),
    routed: sum(all, ({ counts }) => counts.routed ?? 0),
    quarantined: sum(all, ({ counts }) => counts.quarantined),
    pruned: sum(all, ({ counts }) => counts.pruned),
    tokens: sum(last, ({ counts }) => counts.tokens),
    decodedBytes: sum(first, ({ counts }) => counts.decodedBytes),
  }
}

export function makeManifest(summary: Summary): Manifest {
  const { prepared, publication, fitted, packs, attempts, options } = summary
  const totals = totalsOf(summary)
  const truncatedInputs = resultsOf(summary).all.flatMap((result) => result.truncated)
  const tokenizer = prepared.steps.findLast((step) => step.spec.name === 'tokenize')
  const { tokenizer: path } = (tokenizer?.spec.config ?? {}) as { tokenizer?: string }
  const badShare = totals.rowsIn === 0 ? 0 : totals.quarantined / totals.rowsIn
  const bad = badShare > prepared.definition.spec.source.maxBadShare || truncatedInputs.length > 0
  return {
    schemaVersion: 1,
    name: prepared.definition.spec.name,
    gristmillVersion: options.version,
    kernelVersion: prepared.kernelVersion,
    configuration: prepared.definition.spec,
    inputs: prepared.inputs.map(({ path: input, size, fingerprint }) => ({ path: input, bytes: size, fingerprint })),
    totals,
    truncatedInputs,
    columns: prepared.columns,
    source: { format: prepared.source.name, columns: prepared.sourceColumns },
    steps: prepared.steps.map(({ label, identity }) => ({ step: label, version: identityOf(identity ?? null) })),
    ...(tokenizer &&
      path !== undefined && {
        tokenizer: {
          path,
          checksum: (tokenizer.identity as { checksum: string }).checksum,
          vocabularySize: prepared.vocabularySize ?? 0,
        },
      }),
    attempts,
    shards: publication.shards,
    packs: packs ? [{ ...packs.pack, files: packs.files.map(({ from: _from, ...file }) => file) }] : [],
    removed: publication.removed,
    routed: publication.routed,
    edits: publication.edits,
    quarantine: publication.quarantine,
    indexes: indexesOf(summary),
    statistics: publication.statistics,
    ...(fitted.length > 0 && { fitted }),
    against: againstOf(prepared.against),
    exitCode: bad ? 3 : 0,
  }
}

function indexesOf({ plan, publication }: Summary): ManifestIndex[] {
  return plan.stages.flatMap(({ boundary }) => {
    const dedup = boundary?.dedup
    if (!dedup || dedup.kind === 'parts' || !dedup.index) return []
    return [{ step: dedup.label, ...comparedBy(dedup), files: publication.indexes.get(dedup.label) ?? [] }]
  })
}

export function makeMetrics(summary: Summary): Metrics {
  const { prepared, execution, publication, packs, memory, options } = summary
  const { all, last } = resultsOf(summary)
  const totals = totalsOf(summary)
  const files = [...publication.shards.flatMap((shard) => shard.files), ...(packs?.files ?? [])]
  return {
    schemaVersion: 1,
    name: prepared.definition.spec.name,
    gristmillVersion: options.version,
    startedAt: summary.started.toISOString(),
    wallSeconds: summary.seconds,
    workers: options.workers,
    memoryBudgetBytes: memory.budgetBytes,
    totals: {
      inputFiles: prepared.inputs.length,
      inputBytes: sum(prepared.inputs, (input) => input.size),
      decodedBytes: totals.decodedBytes,
      rowsIn: totals.rowsIn,
      rowsOut: totals.rowsOut,
      removed: totals.removed,
      routed: totals.routed,
      quarantined: totals.quarantined,
      pruned: totals.pruned,
      tokens: totals.tokens,
      shards: publication.shards.length,
      outputBytes: sum(files, (file) => file.bytes),
    },
    stages: execution.stages,
    removals: removalsOf(all),
    edits: editsOf(all),
    quarantine: quarantineOf(all),
    lengths: lengthsOf(last),
    packing: packs && {
      length: packs.pack.length,
      strategy: packs.pack.strategy,
      sequences: packs.pack.sequences,
      documents: totals.rowsOut,
      pieces: packs.pack.pieces,
      tokens: packs.pack.tokens,
      utilisation: packs.pack.sequences === 0 ? 0 : packs.pack.tokens / (packs.pack.sequences * packs.pack.length),
      splitDocuments: packs.pack.splitDocuments,
      truncatedTokens: packs.pack.truncatedTokens,
    },
    statistics: summary.gathered.statistics,
    memory: summary.memorySamples,
    bottleneck: bottleneckOf(execution.stages.flatMap((stage) => stage.steps)),
  }
}

function removalsOf(results: readonly MapResult[]): Metrics['removals'] {
  const counts = new Map<string, { step: string; rule: string; rows: number }>()
  for (const { step, rule, rows } of results.flatMap((result) => result.removals)) {
    const key = JSON.stringify([step, rule])
    counts.set(key, { step, rule, rows: (counts.get(key)?.rows ?? 0) + rows })
  }
  return [...counts.values()]
}

function editsOf(results: readonly MapResult[]): NonNullable<Metrics['edits']> {
  const totals = new Map<string, NonNullable<Metrics['edits']>[number]>()
  for (const { step, rule, rows, count, bytes } of results.flatMap((result) => result.edited ?? [])) {
    const key = JSON.stringify([step, rule])
    const { rows: r, count: c, bytes: b } = totals.get(key) ?? { rows: 0, count: 0, bytes: 0 }
    totals.set(key, { step, rule, rows: rows + r, count: count + c, bytes: bytes + b })
  }
  return [...totals.values()]
}

function quarantineOf(results: readonly MapResult[]): Metrics['quarantine'] {
  const counts = new Map<string, number>()
  for (const [code, rows] of results.flatMap((result) => Object.entries(result.quarantine?.codes ?? {}))) {
    counts.set(code, (counts.get(code) ?? 0) + rows)
  }
  return [...counts].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([code, rows]) => ({ code, rows }))
}

function lengthsOf(results: readonly MapResult[]): Histogram | undefined {
  const counts = new Map<number, number>()
  for (const [bin, count] of results.flatMap((result) => result.lengths?.bins ?? [])) {
    counts.set(bin, (counts.get(bin) ?? 0) + count)
  }
  const unit = results[0]?.lengths?.unit
  if (unit === undefined) return undefined
  const bins = [...counts].toSorted(([a], [b]) => a - b)
  return { unit, bins: bins.map(([bin, count]) => ({ from: bin < 0 ? 0 : 2 ** bin, to: 2 ** (bin + 1), count })) }
}

/** The step in which workers spent most of their computing time. */
function bottleneckOf(steps: readonly StepMetrics[]): Metrics['bottleneck'] {
  const busy = sum(steps, (step) => step.busySeconds)
  const waiting = sum(steps, (step) => step.waitSeconds)
  const most = steps.toSorted((a, b) => b.busySeconds - a.busySeconds)[0]
  if (!most || busy + waiting === 0) return undefined
  if (waiting > busy) {
    const share = waiting / (busy + waiting)
    return {
      step: 'input',
      share,
      explanation: `workers waited for bytes ${percent(share)} of their time: the disk or network bounds this run`,
    }
  }
  const share = most.busySeconds / (busy + waiting)
  const rate = most.busySeconds === 0 ? 0 : most.bytesIn / 1e6 / most.busySeconds
  return {
    step: most.step,
    share,
    explanation: `workers spent ${percent(share)} of their time in '${most.step}', at ${rate.toFixed(0)} MB/s a worker; more workers or a faster core would help, a faster disk would not`,
  }
}

const percent = (share: number): string => `${Math.round(share * 100)} %`
