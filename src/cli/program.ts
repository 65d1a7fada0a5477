/**
 * The commands and flags, as commander knows them. What a command does is in `commands/`, loaded when it is called;
 * this file must stay light, since `gristmill --version` loads it. docs/cli.md lists the same; a test compares.
 */
import { Command } from 'commander'
import { GristmillError } from '../core/errors.js'
import type { OutputFlags } from './console.js'
import { VERSION } from '../core/version.js'
import { collectSet, parseCount, parseId, parsePrune, parseSeed, parseWorkers, type PlanFlags } from './flags.js'
import { type PlanningActions, withPlanner } from './plan-program.js'

export interface RunFlags extends PlanFlags, OutputFlags {
  readonly out: string
  readonly allow?: readonly string[]
}

export interface ExplainFlags extends PlanFlags, OutputFlags {
  readonly out?: string
}

export interface InspectFlags extends OutputFlags {
  readonly decode?: number
  readonly tokenizer?: string
}

export interface WhyFlags extends OutputFlags {
  readonly pipeline?: string
}

export interface DiffFlags extends WhyFlags {
  readonly samples?: number
}

export interface FeedFlags extends OutputFlags {
  readonly batchSize: number
  readonly seqLen?: number
  readonly worldSize: number
  readonly seed: number
  readonly seconds: number
}

export interface ExportFlags extends OutputFlags {
  readonly to: string
  readonly out: string
  readonly seqLen?: number
  readonly documents?: boolean
  readonly padId?: number
  readonly compression?: string
  readonly shardSize?: string
  readonly workers?: number
}

export interface CacheFlags extends OutputFlags {
  /** Bytes. */
  readonly prune?: number
  readonly verify?: boolean
}

export interface FeederFlags extends PlanFlags {
  /** Descriptor of the socket to the loader. */
  readonly socket: number
  readonly taskBytes: number
  readonly cache?: string
  readonly cacheBytes: number
  readonly seqLen?: number
}

export interface InitFlags extends OutputFlags {
  readonly out: string
  readonly force?: boolean
}

/** What the commands do; each returns the exit code. */
export interface Actions extends PlanningActions {
  run(file: string, flags: RunFlags): Promise<number>
  explain(file: string, flags: ExplainFlags): Promise<number>
  inspect(run: string, flags: InspectFlags): Promise<number>
  verify(run: string, flags: OutputFlags): Promise<number>
  why(run: string, id: string, flags: WhyFlags): Promise<number>
  diff(before: string, after: string, flags: DiffFlags): Promise<number>
  feed(run: string, flags: FeedFlags): Promise<number>
  export(run: string, flags: ExportFlags): Promise<number>
  cache(folder: string, flags: CacheFlags): Promise<number>
  feeder(file: string, flags: FeederFlags): Promise<number>
  steps(name: string | undefined, flags: OutputFlags): Promise<number>
  init(data: readonly string[], flags: InitFlags): Promise<number>
}

const RUN = 'Runs a pipeline file. The same command again resumes an unfinished run and skips what is committed.'
const EXPLAIN = 'Shows what a run would do and take: stages, tasks, memory, disk and time. Writes nothing.'
const INSPECT = 'Shows what a run directory holds. An unfinished run shows what is committed and how to go on.'
const VERIFY =
  'Reads every file of a finished run and compares each MiB with its checksum and each count with the manifest.'
const WHY =
  'Tells the life of one row: each step, what it measured against its threshold, and the text beside that of the row kept in its place.'
const DIFF = 'Compares two runs over the same data: rows newly removed, routed and brought back, by rule, with samples.'
const FEED =
  'Feeds a finished run for a few seconds as a trainer would: order, padding, rates and the limits of this machine.'
const EXPORT =
  'Writes a finished run for another loader: packed sequences, else documents, else rows. The same command goes on where it was interrupted.'
const CACHE = 'Shows what a cache of arrays holds and how often it answered; makes it smaller or checks it when asked.'
const STEPS = 'Lists steps, sources and sinks; with a name, its options, defaults and an example.'
const INIT = 'Looks at your data and writes a commented pipeline file that runs as it is.'

const OUT_HINT = 'as in gristmill run corpus.yaml --out runs/corpus'
const EXPORT_HINT = 'as in gristmill export runs/corpus --to mds --out exports/corpus'

const EXAMPLES = `
Examples:
  gristmill init data/                              a pipeline file from a look at your data
  gristmill explain corpus.yaml                     what would run, and what it would take
  gristmill run corpus.yaml --out runs/corpus       run it; run it again to resume
  gristmill inspect runs/corpus --decode 3          what came out, as text again
  gristmill verify runs/corpus                      every byte and every count
  gristmill why runs/corpus doc-17                  the life of one document
  gristmill diff runs/a runs/b                      what a changed recipe decides differently
  gristmill feed runs/corpus --world-size 8         how fast it feeds a trainer
  gristmill export runs/corpus --to mds --out exports/corpus   the same data for another loader
  gristmill plan train --model llama-3-8b --gpus 8xH100   will it fit, how fast, which layout

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 finished but too many bad records or a
truncated input, 4 stopped by the guard, 130 interrupted.`

/** The program; `done` receives the exit code of the command that ran. */
export function createProgram(actions: Actions, done: (exitCode: number) => void): Command {
  const program = new Command('gristmill')
    .description('From raw text to packed, tokenised shards.')
    .version(VERSION, '--version', 'print the version')
    .helpOption('--help', 'show this help')
    .helpCommand(false)
    .configureHelp({ showGlobalOptions: false, subcommandTerm: (command) => `${command.name()} ${command.usage()}` })
    .addHelpText('after', EXAMPLES)
  const command = (name: string, summary: string, description: string): Command =>
    program.command(name).summary(summary).description(description).helpOption('--help', 'show this help')

  const run = command('run', 'run a pipeline, or resume it', RUN)
    .usage('<pipeline> --out <dir> [flags]')
    .argument('<pipeline>', 'pipeline file: .yaml, .json, .ts or .js; or recipe:NAME')
    .option('--out <dir>', 'run directory: a folder or s3://bucket/prefix; made when absent')
  withPlan(run)
    .option('--allow <step[:value]>', 'go on where the guard stopped; may be repeated', collect)
    .option('--quiet', 'print errors only')
  withOutput(run, 'print events as JSON lines on standard output').action(
    async (file: string, flags: Partial<RunFlags>) => {
      // Checked here, since commander would report it before a misspelt flag.
      if (flags.out === undefined) throw new GristmillError('GM_USAGE', 'run needs --out <dir>', { hint: OUT_HINT })
      done(await actions.run(file, { ...flags, out: flags.out }))
    },
  )

  const explain = command('explain', 'stages, tasks, memory and time before anything runs', EXPLAIN)
    .usage('<pipeline> [flags]')
    .argument('<pipeline>', 'pipeline file: .yaml, .json, .ts or .js; or recipe:NAME')
    .option('--out <dir>', 'run directory the run would use, to look at the space on its disk')
  withOutput(withPlan(explain), 'print the plan as JSON').action(async (file: string, flags: ExplainFlags) => {
    done(await actions.explain(file, flags))
  })

  const inspect = command('inspect', 'what is in a run directory', INSPECT)
    .usage('<run> [flags]')
    .argument('<run>', 'run directory')
    .option('--decode <n>', 'show the first n sequences (or documents) as text again', parseCount('--decode'))
    .option('--tokenizer <file>', 'the tokenizer of the run, where it is not found by itself')
  withOutput(inspect, 'print the same as JSON').action(async (folder: string, flags: InspectFlags) => {
    done(await actions.inspect(folder, flags))
  })

  const verify = command('verify', 'every shard against its hash, every count against the manifest', VERIFY)
    .usage('<run> [flags]')
    .argument('<run>', 'run directory')
    .option('--quiet', 'print errors only')
  withOutput(verify, 'print findings as JSON lines').action(async (folder: string, flags: OutputFlags) => {
    done(await actions.verify(folder, flags))
  })

  const why = command('why', 'why a row was removed, or that it stayed', WHY)
    .usage('<run> <id> [flags]')
    .argument('<run>', 'run directory')
    .argument('<id>', 'id of the row, or FILE:POSITION')
    .option('--pipeline <file>', 'the pipeline file, where the inputs do not lie beside the run')
  withOutput(why, 'print the rows as JSON lines').action(async (folder: string, id: string, flags: WhyFlags) => {
    done(await actions.why(folder, id, flags))
  })

  const diff = command('diff', 'what a changed recipe removed and brought back', DIFF)
    .usage('<before> <after> [flags]')
    .argument('<before>', 'run directory')
    .argument('<after>', 'run directory of the changed pipeline')
    .option('--samples <n>', 'rows shown of each kind of change (default: 3)', parseCount('--samples'))
    .option('--pipeline <file>', 'the pipeline file, where the inputs do not lie beside the runs')
  withOutput(diff, 'print the comparison as JSON').action(async (before: string, after: string, flags: DiffFlags) => {
    done(await actions.diff(before, after, flags))
  })

  const feed = command('feed', 'how fast a run feeds a trainer, and in which order', FEED)
    .usage('<run> [flags]')
    .argument('<run>', 'run directory, a local folder')
    .option('--batch-size <n>', 'sequences of a batch of one rank', parseCount('--batch-size'), 16)
    .option('--seq-len <n>', 'length of the packing to read, where there are several', parseCount('--seq-len'))
    .option('--world-size <n>', 'ranks; rank 0 is measured', parseCount('--world-size'), 1)
    .option('--seed <n>', 'names the order', parseSeed, 0)
    .option('--seconds <n>', 'how long to measure', parseCount('--seconds'), 3)
  withOutput(feed, 'print the same as JSON').action(async (folder: string, flags: FeedFlags) => {
    done(await actions.feed(folder, flags))
  })

  const exported = command('export', 'a run for another loader: MDS, LitData, WebDataset, TFRecord, …', EXPORT)
    .usage('<run> --to <format> --out <dir> [flags]')
    .argument('<run>', 'run directory, a local folder')
    .option('--to <format>', 'mds, litdata, webdataset, tfrecord, arrow, parquet or safetensors')
    .option('--out <dir>', 'folder to make; it must not exist, or be empty')
    .option('--seq-len <n>', 'length of the packing to read, where there are several', parseCount('--seq-len'))
    .option('--documents', 'whole documents, even where there are packs')
    .option('--pad-id <id>', 'fill sequences up to their full length with this id', parseId('--pad-id'))
    .option('--compression <name>', 'compress the shards of mds and litdata: zstd')
    .option('--shard-size <size>', 'data of a shard, as in 64MiB, which is the default')
    .option('--workers <n>', 'threads (default: cores granted)', parseWorkers)
    .option('--quiet', 'print errors only')
  withOutput(exported, 'print the sums as JSON').action(async (folder: string, flags: Partial<ExportFlags>) => {
    const { to, out } = flags
    const missing = to === undefined ? '--to <format>' : '--out <dir>'
    if (to === undefined || out === undefined) {
      throw new GristmillError('GM_USAGE', `export needs ${missing}`, { hint: EXPORT_HINT })
    }
    done(await actions.export(folder, { ...flags, to, out }))
  })

  const cache = command('cache', 'what a cache of arrays holds, and how often it answered', CACHE)
    .usage('<dir> [flags]')
    .argument('<dir>', 'folder of the cache')
    .option(
      '--prune <size>',
      'remove what was unused longest until no more than this stays, as in 5GiB or 0',
      parsePrune,
    )
    .option('--verify', 'read every entry and remove those that are damaged')
  withOutput(cache, 'print the same as JSON').action(async (folder: string, flags: CacheFlags) => {
    done(await actions.cache(folder, flags))
  })

  // Started by the Python loader, with a socket that it inherits; not a command for people.
  program
    .command('feeder', { hidden: true })
    .argument('<pipeline>')
    .requiredOption('--socket <n>', 'descriptor of the socket to the loader', parseCount('--socket'))
    .requiredOption('--task-bytes <n>', 'bytes of text of a task', parseCount('--task-bytes'))
    .option('--cache <dir>', 'folder of the blocks that were made before')
    .option('--cache-bytes <n>', 'bytes that may lie there', Number, 0)
    .option('--seq-len <n>', 'tokens of a sequence', parseCount('--seq-len'))
    .option('--workers <n>', 'worker threads', parseWorkers)
    .option('--memory <size>', 'memory budget')
    .option('--set <key.path=value>', 'change a value of the pipeline file; may be repeated', collectSet)
    .action(async (file: string, flags: FeederFlags) => {
      done(await actions.feeder(file, flags))
    })

  const steps = command('steps', 'every step, source and sink with its options', STEPS)
    .usage('[name] [flags]')
    .argument('[name]', 'a step, a source format or a sink format')
  withOutput(steps, 'print JSON Schema: of the whole pipeline file, or of the one named').action(
    async (name: string | undefined, flags: OutputFlags) => done(await actions.steps(name, flags)),
  )

  const init = command('init', 'a commented pipeline file from a look at your data', INIT)
    .usage('[data...] [flags]')
    .argument('[data...]', 'folders or files to look at', ['.'])
    .option('--out <file>', 'file to write', 'corpus.yaml')
    .option('--force', 'overwrite the file')
  withOutput(init, 'print what was found as JSON').action(async (data: readonly string[], flags: InitFlags) => {
    done(await actions.init(data, flags))
  })

  withPlanner(command, actions, done)
  return program
}

/** Collects a flag that may be repeated. */
const collect = (text: string, before: readonly string[] = []): readonly string[] => [...before, text]

/** Flags of commands that plan a run. */
function withPlan(command: Command): Command {
  return command
    .option('--workers <n>', 'worker threads (default: cores granted)', parseWorkers)
    .option('--memory <size>', 'memory budget, as in 4GiB or 50% (default: 70% of what is granted)')
    .option('--set <key.path=value>', 'change a value of the pipeline file; may be repeated', collectSet)
    .option('--scratch <dir>', 'folder for temporary files (default: inside the run directory)')
}

/** Flags of every command. */
function withOutput(command: Command, json: string): Command {
  return command.option('--json', json).option('--no-color', 'no colours (also: NO_COLOR in the environment)')
}
