/** `gristmill diff`: what two runs decided differently. */
import { diffRuns, loadPipeline } from '../../index.js'
import { createConsole } from '../console.js'
import type { DiffFlags } from '../program.js'
import { renderDiff } from '../run-diff.js'

export async function diff(before: string, after: string, flags: DiffFlags): Promise<number> {
  const output = createConsole(flags)
  const pipeline = flags.pipeline === undefined ? undefined : await loadPipeline(flags.pipeline)
  const result = await diffRuns(before, after, {
    ...(flags.samples !== undefined && { samples: flags.samples }),
    ...(pipeline && { pipeline }),
  })
  output.object({ event: 'diff', ...result })
  output.result(renderDiff(result, output.paint))
  return 0
}
