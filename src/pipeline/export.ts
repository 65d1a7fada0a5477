/** `exportRun`: a finished run in the format of another loader. docs/export.md says what is in the files. */
import path from 'node:path'
import { z } from 'zod'
import { GristmillError } from '../core/errors.js'
import { machine } from '../core/machine.js'
import { EXPORT_FORMATS, Exporter, type ExportReport } from '../kernels/export.js'

export { EXPORT_FORMATS, type ExportFormat, type ExportReport } from '../kernels/export.js'

/** Bytes of a shard, unless stated: what MosaicML Streaming and LitData write. */
export const SHARD_BYTES = 64 * 2 ** 20
/** Offsets in MDS shards and LitData chunks have 32 bits, and a shard may be larger than asked for. */
const MOST_SHARD_BYTES = 2 ** 30
const PROGRESS_MS = 200

const Options = z.strictObject({
  /** The format. */
  to: z.enum(EXPORT_FORMATS),
  /** The folder to make; it must not exist, or be empty. */
  out: z.string().min(1),
  /** Length of the packing to read, where there are several. */
  seqLen: z.int().min(1).optional(),
  /** Exports documents, even where there are packs. */
  documents: z.boolean().default(false),
  /** Fills sequences up to their full length with this id, so that all samples have one shape. */
  padId: z
    .int()
    .min(0)
    .max(2 ** 31 - 1)
    .optional(),
  /** Compresses the shards of MDS and LitData. */
  compression: z.enum(['none', 'zstd']).default('none'),
  /** Bytes of the rows of a shard. */
  shardBytes: z.int().min(1).max(MOST_SHARD_BYTES).default(SHARD_BYTES),
  /** Threads that write; the bytes are the same for any number. */
  workers: z.int().min(1).max(1024).optional(),
  /** Holds each block of the run against its checksum. */
  verify: z.boolean().default(true),
  /** An abort rejects with GM_INTERRUPTED; exporting the same again goes on. */
  signal: z.instanceof(AbortSignal).optional(),
  /** Called a few times a second, and at the end. */
  onProgress: z.custom<(done: ExportProgress) => void>((value) => typeof value === 'function').optional(),
})

export type ExportOptions = z.input<typeof Options>

export interface ExportProgress {
  /** Samples written. */
  readonly samples: number
  readonly ofSamples: number
}

/**
 * Writes the packed sequences, documents or rows of a finished run for another loader.
 *
 * @example
 * await exportRun('runs/corpus', { to: 'mds', out: 'exports/corpus-mds' })
 */
export async function exportRun(run: string, options: ExportOptions): Promise<ExportReport> {
  const { signal, onProgress, ...checked } = check(options)
  for (const place of [run, checked.out]) {
    if (!/^s3:\/\//iu.test(place)) continue
    throw new GristmillError('GM_CONFIG', `export: ${place}: only local folders can be exported, and exported to`, {
      hint: 'copy the run to a local disk first',
    })
  }
  signal?.throwIfAborted()
  const exporter = new Exporter({
    run: path.resolve(run),
    out: path.resolve(checked.out),
    format: checked.to,
    seqLen: checked.seqLen ?? null,
    documents: checked.documents,
    padId: checked.padId ?? null,
    zstd: checked.compression === 'zstd',
    shardBytes: checked.shardBytes,
    threads: checked.workers ?? machine().cores,
    check: checked.verify,
  })
  const tell = (): void => onProgress?.({ samples: exporter.written, ofSamples: exporter.samples })
  const timer = setInterval(tell, PROGRESS_MS)
  timer.unref()
  const stop = (): void => exporter.stop()
  signal?.addEventListener('abort', stop)
  try {
    const report = await exporter.run()
    if (report !== null) {
      tell()
      return report
    }
  } finally {
    clearInterval(timer)
    signal?.removeEventListener('abort', stop)
  }
  throw new GristmillError('GM_INTERRUPTED', 'interrupted; the shards that were written are kept', {
    hint: 'export the same again to go on',
    cause: signal?.reason,
  })
}

function check(options: ExportOptions): z.output<typeof Options> {
  const parsed = Options.safeParse(options)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  const at = issue?.path.join('.') ?? ''
  throw new GristmillError('GM_CONFIG', `export: ${at === '' ? '' : `${at}: `}${issue?.message ?? 'invalid'}`, {
    hint: 'docs/export.md lists the options',
  })
}
