/** `gristmill run`: loads the pipeline, runs it, shows progress and the sum of it. */
import { GristmillError } from '../../core/errors.js'
import { loadPipeline } from '../../pipeline/file.js'
import { runPipeline } from '../../pipeline/run.js'
import { createConsole } from '../console.js'
import { resources } from '../flags.js'
import { commandLine, onInterrupt } from '../interrupt.js'
import type { RunFlags } from '../program.js'
import { createProgress } from '../progress.js'
import { renderSummary } from '../summary.js'

export async function run(file: string, flags: RunFlags): Promise<number> {
  const output = createConsole(flags)
  const budget = resources(flags)
  const progress = await createProgress(output)
  using interrupt = onInterrupt(() => {
    progress.say('stopping… what is committed stays; press Ctrl-C again to stop at once')
  })
  try {
    const pipeline = await loadPipeline(file, flags.set ?? {})
    const result = await runPipeline(pipeline, {
      ...budget,
      out: flags.out,
      ...(flags.allow && { allow: flags.allow }),
      signal: interrupt.signal,
      onEvent: progress.onEvent,
    })
    progress.close()
    if (!output.quiet) output.result(renderSummary(result, output.paint))
    return result.exitCode
  } catch (error) {
    progress.close()
    throw interrupt.signal.aborted ? interrupted(error) : error
  }
}

/** An abort surfaces as whatever was waiting; the user pressed Ctrl-C and wants to know how to go on. */
function interrupted(error: unknown): GristmillError {
  const again = commandLine(process.argv.slice(2))
  const hint = `run the same command to resume: ${again}`
  return new GristmillError('GM_INTERRUPTED', 'interrupted; what was committed is kept', { hint, cause: error })
}
