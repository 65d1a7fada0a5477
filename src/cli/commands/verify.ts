/** `gristmill verify`: checks a run and lists what is wrong. */
import { GristmillError } from '../../core/errors.js'
import { formatBytes, formatCount, formatDuration, formatPercent } from '../../core/units.js'
import { openStores } from '../../io/stores.js'
import { type Finding, type Verification, verifyRun } from '../../observe/verify.js'
import { type Console, createConsole, type OutputFlags } from '../console.js'

/** Findings listed in full; a run copied without its shards has thousands. */
const SHOWN_FINDINGS = 20
const PROGRESS_MS = 200

export async function verify(folder: string, flags: OutputFlags): Promise<number> {
  const output = createConsole(flags)
  const stores = openStores()
  try {
    const started = performance.now()
    const onFile = progressLine(output)
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

/** On a terminal, one line that is overwritten; elsewhere nothing. */
function progressLine(output: Console): (done: { bytes: number; ofBytes: number }) => void {
  if (output.quiet || output.json || !process.stderr.isTTY) return () => undefined
  let last = 0
  return ({ bytes, ofBytes }) => {
    const now = performance.now()
    if (bytes < ofBytes && now - last < PROGRESS_MS) return
    last = now
    const text = `verifying ${formatPercent(bytes / Math.max(1, ofBytes), 0)} of ${formatBytes(ofBytes)}`
    process.stderr.write(bytes < ofBytes ? `\r${text}\u001B[K` : '\r\u001B[K')
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
