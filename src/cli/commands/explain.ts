/** `gristmill explain`: the plan as a table. */
import { loadPipeline } from '../../pipeline/file.js'
import { explainPipeline } from '../../pipeline/run.js'
import { createConsole } from '../console.js'
import { renderExplanation } from '../explanation.js'
import { resources } from '../flags.js'
import type { ExplainFlags } from '../program.js'

export async function explain(file: string, flags: ExplainFlags): Promise<number> {
  const output = createConsole(flags)
  const budget = resources(flags)
  const pipeline = await loadPipeline(file, flags.set ?? {})
  const plan = await explainPipeline(pipeline, budget)
  output.object(plan)
  output.result(renderExplanation(plan, output.paint))
  return 0
}
