/**
 * `gristmill plan` and its commands, as commander knows them. Flags come from the planner's own list of options, so
 * that batch files and flags cannot differ; values are read there too, where every fault is reported at once.
 */
import type { Command } from 'commander'
import { frameworksOf, optionsOf, type PlanKind } from '../planner/options.js'
import { GristmillError } from '../core/errors.js'
import type { OutputFlags } from './console.js'

/** Options as written, by their camelCase names. */
export interface PlanningFlags extends OutputFlags {
  readonly explain?: boolean
  readonly html?: string
  readonly [option: string]: unknown
}

export interface ScoreFlags extends OutputFlags {
  readonly table: string
}

export interface PlanningActions {
  planTrain(flags: PlanningFlags): Promise<number>
  planServe(flags: PlanningFlags): Promise<number>
  planLint(flags: PlanningFlags): Promise<number>
  planScore(flags: ScoreFlags): Promise<number>
  planBatch(file: string, flags: OutputFlags): Promise<number>
}

const PLAN = 'Tells what a training run or a server would need and do, before anyone rents the GPUs. Needs no GPU.'
const TRAIN =
  'Plans a training run: memory of each stage, time of a training step, and the best layouts. A request that does not fit still gets its plan.'
const SERVE = 'Plans serving: cache, latency and throughput against concurrency, cost, and GPUs for a target.'
const LINT = 'Finds dimensions of a model that waste the hardware, each with its predicted effect.'
const SCORE = 'Compares plans with measured runs, row by row, and sums up by table and field.'
const BATCH = 'Plans one request a line; with --json one result a line. Refused lines are results too.'

type MakeCommand = (name: string, summary: string, description: string) => Command
type Done = (exitCode: number) => void

export function withPlanner(command: MakeCommand, actions: PlanningActions, done: Done): void {
  const plan = command('plan', 'memory, speed and layout of training and serving, before it runs', PLAN)
    .usage('<train|serve|lint|score|batch> [flags]')
    .helpCommand(false)
  const inner: MakeCommand = (name, summary, description) =>
    plan.command(name).summary(summary).description(description).helpOption('--help', 'show this help')

  const planned = (kind: PlanKind, summary: string, description: string): Command =>
    withOptions(inner(kind, summary, description), kind)
      .option('--explain', 'print where each number comes from')
      .option('--html <file>', 'write the plan as a self-contained page')
  withJson(planned('train', 'a training run', TRAIN).option('--no-search', 'take the layout exactly as given')).action(
    async (flags: PlanningFlags) => done(await actions.planTrain(flags)),
  )
  withJson(planned('serve', 'a server', SERVE)).action(async (flags: PlanningFlags) =>
    done(await actions.planServe(flags)),
  )
  withJson(withOptions(inner('lint', "a model's dimensions", LINT), 'lint')).action(async (flags: PlanningFlags) =>
    done(await actions.planLint(flags)),
  )
  withJson(
    inner('score', 'plans against measured runs', SCORE)
      .usage('--table <file> [flags]')
      .option('--table <file>', 'measured runs, one JSON object a line'),
  ).action(async (flags: Partial<ScoreFlags> & OutputFlags) => {
    const { table } = flags
    if (table === undefined) {
      throw new GristmillError('GM_USAGE', 'score needs --table <file>', { hint: 'one measured run a line, as JSON' })
    }
    done(await actions.planScore({ ...flags, table }))
  })
  withJson(
    inner('batch', 'one request a line', BATCH)
      .usage('<file> [flags]')
      .argument('<file>', 'requests, one JSON object a line'),
  ).action(async (file: string, flags: OutputFlags) => done(await actions.planBatch(file, flags)))
}

function withOptions(command: Command, kind: PlanKind | 'lint'): Command {
  command.usage('--model <name> --gpus <NxGPU> [flags]')
  for (const [name, { flag, help }] of optionsOf(kind))
    command.option(flag, name === 'framework' ? frameworksOf(kind).join(', ') : help)
  return command
}

function withJson(command: Command): Command {
  return command
    .option('--json', 'print the result as JSON, and nothing else')
    .option('--no-color', 'no colours (also: NO_COLOR in the environment)')
}
