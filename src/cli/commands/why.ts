/** `gristmill why`: the life of one row of a finished run. */
import { loadPipeline } from '../../pipeline/file.js'
import { whyRow } from '../../pipeline/look-back.js'
import { createConsole } from '../console.js'
import { renderLives } from '../life.js'
import type { WhyFlags } from '../program.js'

export async function why(run: string, id: string, flags: WhyFlags): Promise<number> {
  const output = createConsole(flags)
  const pipeline = flags.pipeline === undefined ? undefined : await loadPipeline(flags.pipeline)
  const lives = await whyRow(run, id, pipeline === undefined ? {} : { pipeline })
  for (const life of lives) output.object({ event: 'row', ...life })
  output.result(renderLives(lives, output.paint))
  return 0
}
