/** `gristmill feed`: what a trainer would get from a run, how fast, and what this machine allows. */
import { formatBytes, formatCount, formatPercent, formatRate } from '../../core/units.js'
import type { FeedStats } from '../../kernels/feed.js'
import { feed as openFeed, type Feed, type FeedOptions } from '../../pipeline/feed.js'
import { createConsole } from '../console.js'
import type { Paint } from '../paint.js'
import type { FeedFlags } from '../program.js'
import { renderColumns } from '../table.js'

const SHOWN_BATCHES = 3
const SHOWN_SAMPLES = 8
/** A batch's tokens and labels, as they are measured: 32 bits each. */
const POSITION_BYTES = 8
const COPIED_BYTES = 64 * 2 ** 20

/** What the command says, with `--json` as one object. */
interface FeedReport {
  readonly run: string
  readonly sequences: number
  readonly sequenceLength: number
  readonly batchSize: number
  readonly worldSize: number
  /** Batches of each rank in an epoch. */
  readonly epochBatches: number
  /** Rows of padding at the end of an epoch, on all ranks together. */
  readonly fillerRows: number
  /** Sequences of the first batches of rank 0. */
  readonly order: readonly (readonly number[])[]
  readonly stats: FeedStats
  /** Tokens and labels as they came, in bytes a second. */
  readonly bytesPerSecond: number
  /** One thread's copying of memory, in bytes a second: no feed is faster. */
  readonly copyBytesPerSecond: number
}

export async function feed(run: string, flags: FeedFlags): Promise<number> {
  const output = createConsole(flags)
  const { batchSize, worldSize, seed, seqLen } = flags
  const options = { batchSize, worldSize, seed, ...(seqLen !== undefined && { seqLen }) }
  const order = await firstBatches(run, options)
  using opened = openFeed(run, options)
  await drain(opened, flags.seconds)
  const stats = opened.stats()
  const { epochBatches, epochSamples, sequenceLength } = opened
  const positions = stats.batches * batchSize * sequenceLength
  const report: FeedReport = {
    run,
    sequences: epochSamples,
    sequenceLength,
    batchSize,
    worldSize,
    epochBatches,
    fillerRows: epochBatches * batchSize * worldSize - epochSamples,
    order,
    stats,
    bytesPerSecond: (positions * POSITION_BYTES) / Math.max(stats.seconds, 1e-9),
    copyBytesPerSecond: copyRate(),
  }
  output.object(report)
  output.result(render(report, output.paint))
  return 0
}

async function firstBatches(run: string, options: FeedOptions): Promise<number[][]> {
  using opened = openFeed(run, { ...options, prefetch: 0 })
  const batches: number[][] = []
  for await (const batch of opened) {
    batches.push(batch.sampleIds)
    batch.dispose()
    if (batches.length === SHOWN_BATCHES) break
  }
  return batches
}

/** Takes batches for so long, whole epochs over when the run is small. */
async function drain(opened: Feed, seconds: number): Promise<void> {
  const end = performance.now() + seconds * 1000
  for (;;) {
    for await (const batch of opened) {
      batch.dispose()
      if (performance.now() >= end) return
    }
  }
}

function copyRate(): number {
  const [from, to] = [Buffer.alloc(COPIED_BYTES, 1), Buffer.alloc(COPIED_BYTES)]
  let best = Infinity
  for (let round = 0; round < 5; round++) {
    const began = performance.now()
    from.copy(to)
    best = Math.min(best, performance.now() - began)
  }
  return COPIED_BYTES / (best / 1000)
}

function render(report: FeedReport, paint: Paint): string {
  const { stats, batchSize, worldSize, sequenceLength } = report
  const perBatch = stats.batches === 0 ? 0 : stats.seconds / stats.batches
  const share = (seconds: number): string => formatPercent(seconds / Math.max(stats.seconds, 1e-9))
  const rows = [
    ['sequences', formatCount(report.sequences), paint.dim(`of ${formatCount(sequenceLength)} tokens`)],
    [
      'batches',
      formatCount(report.epochBatches),
      paint.dim(`an epoch, of ${formatCount(batchSize)} on each of ${formatCount(worldSize)} ranks`),
    ],
    ['filler rows', formatCount(report.fillerRows), paint.dim('at the end of an epoch, so that all ranks step alike')],
    ['padding', formatPercent(stats.paddingShare, 2), paint.dim('of the positions that were fed')],
    ['tokens', `${formatCount(Math.round(stats.tokensPerSecond))}/s`, paint.dim('to one process, tokens and labels')],
    [
      'bytes',
      formatRate(report.bytesPerSecond),
      paint.dim(`${formatBytes(batchSize * sequenceLength * POSITION_BYTES)} a batch`),
    ],
    ['a batch', `${(perBatch * 1000).toFixed(3)} ms`, paint.dim('a trainer whose step takes longer does not wait')],
    ['stalled', share(stats.stallSeconds), paint.dim('of the time this program waited for batches')],
    ['idle', share(stats.idleSeconds), paint.dim('of the time the threads waited for this program')],
    ['memory copy', formatRate(report.copyBytesPerSecond), paint.dim('one thread of this machine; no feed is faster')],
  ]
  const preview = report.order.map((samples, batch) => {
    const more = samples.length > SHOWN_SAMPLES ? ' …' : ''
    return [`batch ${batch}`, `${samples.slice(0, SHOWN_SAMPLES).join(' ')}${more}`]
  })
  return [
    renderColumns(rows, ['left', 'right', 'left']),
    '',
    paint.dim('order of rank 0'),
    renderColumns(preview, ['left', 'left']),
  ].join('\n')
}
