/**
 * What a run would do and take, before anything runs: the plan, and estimates from a sample of the input.
 */
import { freeBytes } from '../io/space.js'
import { openStores } from '../io/stores.js'
import { Batch, type Columns } from '../kernels/batch.js'
import { estimateNearDuplicates } from '../kernels/minhash.js'
import { Chain } from './chain.js'
import { planMemory } from './memory.js'
import type { PipelineDefinition } from './pipeline.js'
import { labelsAt, type Plan, planStages, rowsOf, type Stage } from './plan.js'
import { type PreparedPipeline, preparePipeline } from './prepare.js'
import type { Registry } from './registry.js'
import { sampleRows } from './sample.js'

export interface Explanation {
  readonly name: string
  readonly inputs: { readonly files: number; readonly bytes: number; readonly decodedBytes: number }
  readonly workers: number
  readonly memory: { readonly budgetBytes: number; readonly minimumBytes: number; readonly expectedBytes: number }
  readonly disk: { readonly peakScratchBytes: number; readonly outputBytes: number; readonly freeBytes: number }
  readonly seconds: { readonly estimate: number }
  readonly columns: Columns
  readonly stages: readonly {
    readonly name: string
    readonly tasks: number | string
    readonly steps: readonly { readonly name: string; readonly summary: string }[]
    readonly reads: string
    readonly writes: string
  }[]
  readonly warnings: readonly string[]
}

export interface ExplainContext {
  readonly workers: number
  readonly memoryBytes: number
  readonly out?: string | undefined
  readonly scratch?: string | undefined
}

/** What the sample says of a byte of input. */
interface Rates {
  /** Seconds of one worker for a byte of decompressed input, through all map steps. */
  readonly secondsPerByte: number
  /** Bytes that leave the chain for a byte that enters. */
  readonly outputShare: number
  /** Bytes of input for a row of it. */
  readonly rowBytes: number
}

/** Rates of reading, spilling and writing a byte, in bytes a second: ordinary values of one core. */
const IO_RATE = 400e6

export async function explain(
  definition: PipelineDefinition,
  registry: Registry,
  context: ExplainContext,
): Promise<Explanation> {
  const stores = openStores()
  const signal = new AbortController().signal
  try {
    const memory = planMemory(context.memoryBytes, context.workers)
    const prepared = await preparePipeline(definition, registry, stores, signal)
    const decodedBytes = prepared.splits.reduce((sum, split) => sum + split.bytes, 0)
    const plan = planStages(prepared, decodedBytes)
    const rates = await measure(prepared, plan, registry, async () => {
      const { source, splits, sourceColumns, sourceOptions, where } = prepared
      return sampleRows({ source, splits, sourceColumns, sourceOptions, where, stores, signal })
    })
    const spills = plan.stages.filter((stage) => stage.boundary).length
    const near = nearDuplicates(plan, prepared, { decodedBytes, rowBytes: rates.rowBytes, workers: context.workers })
    // Before the last spill is read to its end, it and the one before it may both be there.
    const spillBytes = Math.min(2, spills) * decodedBytes + near.diskBytes
    const outputBytes = Math.round(decodedBytes * rates.outputShare)
    const folder = context.scratch ?? (context.out?.startsWith('s3:') ? '.' : context.out) ?? definition.baseFolder
    const free = await freeBytes(folder)
    const warnings = prepared.steps.flatMap((step) => step.warnings)
    if (free < spillBytes + outputBytes) {
      warnings.push('the disk of the run directory may be too small; pass --scratch or another --out')
    }
    return {
      name: definition.spec.name,
      inputs: {
        files: prepared.inputs.length,
        bytes: prepared.inputs.reduce((sum, input) => sum + input.size, 0),
        decodedBytes,
      },
      workers: context.workers,
      memory: {
        budgetBytes: memory.budgetBytes,
        minimumBytes: memory.minimumBytes,
        expectedBytes: Math.min(memory.budgetBytes, Math.max(memory.expectedBytes, near.memoryBytes)),
      },
      disk: { peakScratchBytes: spillBytes, outputBytes, freeBytes: free },
      seconds: { estimate: (decodedBytes * (rates.secondsPerByte + (1 + 2 * spills) / IO_RATE)) / context.workers },
      columns: prepared.columns,
      stages: [...plan.stages.map((stage) => describe(stage, prepared, registry)), ...describePack(plan, registry)],
      warnings,
    }
  } finally {
    stores.close()
  }
}

/** Share of the text that is taken to belong to candidates, and the bytes of their sets for a byte of it. */
const SETS = { candidates: 0.3, bytesPerByte: 8 / 6 } as const
/** Memory of a run that decides; what the decision takes comes on top. */
const DECIDING_BYTES = 192 * 2 ** 20

/** What the largest of a plan's near-duplicate deduplications takes beside the spill. */
function nearDuplicates(
  plan: Plan,
  prepared: PreparedPipeline,
  {
    decodedBytes,
    rowBytes,
    workers,
  }: { readonly decodedBytes: number; readonly rowBytes: number; readonly workers: number },
): { memoryBytes: number; diskBytes: number } {
  const estimates = plan.stages.flatMap(({ boundary }) => {
    if (boundary?.dedup?.kind !== 'minhash') return []
    const { bands, partitions } = boundary.dedup
    const rows = decodedBytes / rowBytes + rowsOf(prepared, boundary.dedup)
    const estimate = estimateNearDuplicates(rows, { bands, partitions, workers })
    const sets = decodedBytes * SETS.candidates * SETS.bytesPerByte
    return [{ memoryBytes: DECIDING_BYTES + estimate.memoryBytes, diskBytes: Math.round(estimate.diskBytes + sets) }]
  })
  return {
    memoryBytes: Math.max(0, ...estimates.map(({ memoryBytes }) => memoryBytes)),
    diskBytes: Math.max(0, ...estimates.map(({ diskBytes }) => diskBytes)),
  }
}

function describe(stage: Stage, prepared: PreparedPipeline, registry: Registry): Explanation['stages'][number] {
  const sequential = prepared.splits.filter((split) => split.kind === 'sequential')
  const first = prepared.splits.length
  const buckets = prepared.splits.reduce((sum, split) => sum + Math.max(1, Math.round(split.bytes / (64 * 2 ** 20))), 0)
  const tasks = stage.input === 'splits' && sequential.length === 0 ? first : `about ${Math.max(1, buckets)}`
  const boundary = stage.boundary
  const ends = labelsAt(boundary)
  const fits = boundary?.fit ?? []
  const summaryOf = (name: string): string => registry.steps.get(name)?.summary ?? ''
  return {
    name: stage.name,
    tasks,
    steps: [
      ...stage.chain.map((step) => ({ name: step.label, summary: summaryOf(step.name) })),
      ...ends.map((label) => ({ name: label, summary: summaryOf(label.replace(/-\d+$/u, '')) })),
      ...fits.map(({ label }) => ({ name: `fit ${label}`, summary: 'finds the parameters of the step in all rows' })),
    ],
    reads:
      stage.input === 'splits'
        ? `${prepared.inputs.length} ${prepared.source.name} files`
        : 'scratch files of the stage before',
    writes: boundary ? 'scratch files' : `${prepared.sink.name} shards`,
  }
}

function describePack({ pack }: Plan, registry: Registry): Explanation['stages'] {
  if (!pack) return []
  const summary = registry.steps.get('pack')?.summary ?? ''
  const steps = [{ name: pack.label, summary }]
  return [
    {
      name: pack.label,
      tasks: 'one for each 1,048,576 documents',
      steps,
      reads: 'lengths of the documents',
      writes: `packs/${pack.length}`,
    },
  ]
}

/** Runs a sample through every map step and measures. */
async function measure(
  prepared: PreparedPipeline,
  plan: Plan,
  registry: Registry,
  sample: () => Promise<Batch>,
): Promise<Rates> {
  const known = prepared.splits.filter((split) => split.kind === 'split' || split.file.url !== '-')
  if (known.every((split) => split.bytes === 0)) return { secondsPerByte: 0, outputShare: 1, rowBytes: 1 }
  let batch = await sample()
  const { bytes } = batch
  const rowBytes = Math.max(1, bytes / Math.max(1, batch.rows))
  // Once to warm up (tokenizer caches), once to measure.
  const copy = batch.toIpc()
  for (const stage of plan.stages) {
    using chain = new Chain(stage.chain, registry, prepared.definition.functions)
    batch = await chain.run(batch)
  }
  batch.dispose()
  batch = Batch.fromIpc(copy)
  const start = performance.now()
  for (const stage of plan.stages) {
    using chain = new Chain(stage.chain, registry, prepared.definition.functions)
    batch = await chain.run(batch)
  }
  const seconds = (performance.now() - start) / 1000
  using out = batch
  return bytes === 0
    ? { secondsPerByte: 0, outputShare: 1, rowBytes }
    : { secondsPerByte: seconds / bytes, outputShare: out.bytes / bytes, rowBytes }
}
