/** `gristmill export`: writes a finished run for another loader. */
import { GristmillError } from '../../core/errors.js'
import { formatBytes, formatCount, formatDuration, formatPercent, parseBytes } from '../../core/units.js'
import { EXPORT_FORMATS, type ExportFormat, exportRun } from '../../pipeline/export.js'
import { createConsole } from '../console.js'
import { commandLine, onInterrupt } from '../interrupt.js'
import { progressLine } from '../progress-line.js'
import type { ExportFlags } from '../program.js'

export async function exportTo(run: string, flags: ExportFlags): Promise<number> {
  const output = createConsole(flags)
  const { to, out, seqLen, documents, padId, compression, shardSize, workers } = flags
  const format = formatNamed(to)
  const started = performance.now()
  const line = progressLine(output)
  using interrupt = onInterrupt(() => output.note('stopping… press Ctrl-C again to stop at once'))
  try {
    const report = await exportRun(run, {
      to: format,
      out,
      ...(seqLen !== undefined && { seqLen }),
      ...(documents !== undefined && { documents }),
      ...(padId !== undefined && { padId }),
      ...(compression !== undefined && { compression: zstdNamed(compression) }),
      ...(shardSize !== undefined && { shardBytes: parseBytes(shardSize, '--shard-size') }),
      ...(workers !== undefined && { workers }),
      signal: interrupt.signal,
      onProgress: ({ samples, ofSamples }) => {
        const share = samples / ofSamples
        line(share, `exporting ${formatPercent(share, 0)} of ${formatCount(ofSamples)} samples`)
      },
    })
    const seconds = (performance.now() - started) / 1000
    output.object({ event: 'exported', format, out, ...report, seconds })
    const { samples, shards, bytes } = report
    const sum = `${formatCount(samples)} samples, ${formatCount(shards)} ${shards === 1 ? 'shard' : 'shards'}, ${formatBytes(bytes)}`
    if (!output.quiet) output.result(`${output.paint.bold(out)}: ${sum} (${formatDuration(seconds)})`)
    return 0
  } catch (error) {
    line(1, '')
    if (!(error instanceof GristmillError) || error.code !== 'GM_INTERRUPTED') throw error
    const hint = `run the same command to go on: ${commandLine(process.argv.slice(2))}`
    throw new GristmillError('GM_INTERRUPTED', error.message, { hint, cause: error })
  }
}

function formatNamed(name: string): ExportFormat {
  const format = EXPORT_FORMATS.find((format) => format === name)
  if (format !== undefined) return format
  throw new GristmillError('GM_USAGE', `--to: there is no format '${name}'`, {
    hint: `it is one of ${EXPORT_FORMATS.join(', ')}`,
  })
}

function zstdNamed(name: string): 'zstd' {
  if (name === 'zstd') return name
  throw new GristmillError('GM_USAGE', `--compression: there is no '${name}'`, { hint: 'it is zstd' })
}
