/**
 * The command line's entry: parses, calls a command, reports failures, sets the exit code. Commands are imported
 * when they run, so that `--version`, `--help` and usage errors cost no more than Node itself; and they import what
 * they need, not the façade, which loads everything.
 */
import { CommanderError, type Command } from 'commander'
import { GristmillError } from '../core/errors.js'
import { createConsole, surviveClosedPipes } from './console.js'
import { failureEvent, failureOf, renderFailure } from './failure.js'
import { createProgram } from './program.js'

/** A command that leaves a handle open must not hang the shell. */
const EXIT_GRACE_MS = 2000

export async function main(argv: readonly string[] = process.argv.slice(2)): Promise<void> {
  surviveClosedPipes(argv[0] !== 'run')
  let exitCode = 0
  const program = createProgram(
    {
      run: async (...args) => (await import('./commands/run.js')).run(...args),
      explain: async (...args) => (await import('./commands/explain.js')).explain(...args),
      inspect: async (...args) => (await import('./commands/inspect.js')).inspect(...args),
      verify: async (...args) => (await import('./commands/verify.js')).verify(...args),
      why: async (...args) => (await import('./commands/why.js')).why(...args),
      diff: async (...args) => (await import('./commands/diff.js')).diff(...args),
      feed: async (...args) => (await import('./commands/feed.js')).feed(...args),
      export: async (...args) => (await import('./commands/export.js')).exportTo(...args),
      cache: async (...args) => (await import('./commands/cache.js')).cache(...args),
      feeder: async (...args) => (await import('./commands/feeder.js')).feeder(...args),
      steps: async (...args) => (await import('./commands/steps.js')).steps(...args),
      init: async (...args) => (await import('./commands/init.js')).init(...args),
      planTrain: async (...args) => (await import('./commands/plan.js')).train(...args),
      planServe: async (...args) => (await import('./commands/plan.js')).serve(...args),
      planLint: async (...args) => (await import('./commands/plan-lint.js')).lint(...args),
      planScore: async (...args) => (await import('./commands/plan-score.js')).score(...args),
      planBatch: async (...args) => (await import('./commands/plan-batch.js')).batch(...args),
    },
    (code) => (exitCode = code),
  )
  throwInsteadOfExit(program)
  try {
    await program.parseAsync([...argv], { from: 'user' })
  } catch (error) {
    exitCode = report(error, argv)
  }
  process.exitCode = exitCode
  setTimeout(() => process.exit(exitCode), EXIT_GRACE_MS).unref()
}

/** Usage errors come back as exceptions, so that all failures look alike. */
function throwInsteadOfExit(command: Command): void {
  command.exitOverride().configureOutput({ outputError: () => undefined })
  for (const inner of command.commands) throwInsteadOfExit(inner)
}

function report(error: unknown, argv: readonly string[]): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0 // --help and --version
    if (error.code === 'commander.help') return 2 // no command: help was shown
    return report(usageError(error, argv), argv)
  }
  const failure = failureOf(error)
  const output = createConsole({ json: argv.includes('--json'), color: !argv.includes('--no-color') })
  output.object(failureEvent(failure))
  output.note(renderFailure(failure, output.notePaint))
  return failure.exitCode
}

/** Commander's "error: unknown option '--wrokers'\n(Did you mean --workers?)" in our shape. */
function usageError(error: CommanderError, argv: readonly string[]): GristmillError {
  const [first = '', second] = error.message.replace(/^error: /, '').split('\n')
  const guess = /^\(Did you mean (.*)\?\)$/.exec(second ?? '')?.[1]
  // `plan` has commands of its own; the flags are those of the inner one.
  const names = argv[0] === 'plan' ? argv.slice(0, 2) : argv.slice(0, 1)
  const known = error.code === 'commander.unknownCommand' ? names.slice(0, -1) : names
  const command = known.map((name) => ` ${name}`).join('')
  const hint = guess === undefined ? `see \`gristmill${command} --help\`` : `did you mean ${guess}?`
  return new GristmillError('GM_USAGE', first, { hint })
}
