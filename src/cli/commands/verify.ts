/** `gristmill verify`: checks a run and lists what is wrong. */
import { GristmillError } from '../../core/errors.js'
import { formatBytes, formatCount, formatDuration, formatPercent } from '../../core/units.js'
import { openStores } from '../../io/stores.js'
import { type Finding, type Verification, verifyRun } from '../../observe/verify.js'
import { type Console, createConsole, type OutputFlags } from '../console.js'
import { progressLine } from '../progress-line.js'

/** Findings listed in full; a run copied without its shards has thousands. */
const SHOWN_FINDINGS = 20

export async function verify(folder: string, flags: OutputFlags): Promise<number> {
  const output = createConsole(flags)
  const stores = openStores()
  try {
    const started = performance.now()
    const line = progressLine(output)
    const onFile = ({ bytes, ofBytes }: { bytes: number; ofBytes: number }): void =>
      line(
        bytes / Math.max(1, ofBytes),
        `verifying ${formatPercent(bytes / Math.max(1, ofBytes), 0)} of ${formatBytes(ofBytes)}`,
      )
    const result = await verifyRun(await stores.open(folder), { onFile })
    for (const finding of result.findings) output.object({ event: 'finding', ...finding })
    const seconds = (performance.now() - started) / 1000
    const { name, files, bytes, findings } = result
    output.object({ event: 'verified', name, files, bytes, seconds, findings: findings.length })
    if (findings.length > 0) throw failed(folder, result, output)
    if (!output.quiet) {
      output.result(
        `${output.paint.bold(name)} is whole: ${formatCount(files)} ${files === 1 ? 'file' : 'files'}, ${formatBytes(bytes)}, every checksum and count agrees (${formatDuration(seconds)})`,
      )
    }
    return 0
  } finally {
    stores.close()
  }
}

function failed(folder: string, { findings }: Verification, output: Console): GristmillError {
  for (const finding of findings.slice(0, SHOWN_FINDINGS)) output.note(describe(finding, output))
  if (findings.length > SHOWN_FINDINGS)
    output.note(`and ${formatCount(findings.length - SHOWN_FINDINGS)} more; --json lists all`)
  const damaged = findings.find((finding) => finding.code === 'GM_SHARD_CHECKSUM')
  const count = `${formatCount(findings.length)} ${findings.length === 1 ? 'problem' : 'problems'}`
  if (damaged === undefined)
    return new GristmillError('GM_VERIFY', `${folder}: ${count}; the first: ${sentence(findings[0])}`)
  return new GristmillError('GM_SHARD_CHECKSUM', `${folder}: ${count}; ${sentence(damaged)}`)
}

const sentence = (finding: Finding | undefined): string =>
  finding === undefined ? '' : `${finding.file}: ${finding.message}`

const describe = (finding: Finding, { notePaint }: Console): string =>
  `${notePaint.bad(finding.file)}: ${finding.message}`
