/**
 * What steps gathered over the rows of all tasks, added up in the order of the tasks; and what each step kept and
 * removed of each source and language, which the tasks' commits hold anyway.
 *
 * The parts stay in `work/`, so that a run that gets more inputs counts only these.
 */
import path from 'node:path'
import type { NativeFinishedFile } from '../../native/index.js'
import { writeStepShares } from '../kernels/stats.js'
import type { Metrics } from '../observe/metrics.js'
import type { Execution } from './execution.js'
import type { ManifestFile } from './manifest.js'
import type { Plan } from './plan.js'
import type { Registry } from './registry.js'
import type { RunDirectory } from './run-directory.js'

/** A file to be published, and its name in `work/`. */
export type GatheredFile = ManifestFile & { readonly rows: number; readonly from: string }

export interface Gathered {
  readonly files: readonly GatheredFile[]
  readonly statistics: NonNullable<Metrics['statistics']>
}

const FOLDER = 'stats'

/** Adds up what the steps of a finished execution gathered. A run without such steps has nothing here. */
export async function gather(
  { plan, registry }: { readonly plan: Plan; readonly registry: Registry },
  execution: Execution,
  directory: RunDirectory,
): Promise<Gathered> {
  const files: GatheredFile[] = []
  const statistics: Gathered['statistics'][number][] = []
  const local = (name: string): string => path.join(directory.folder('tmp'), name)
  const publish = async (name: string, rows: number, file: NativeFinishedFile): Promise<void> => {
    const from = path.basename(file.path)
    await directory.store.publish(file.path, directory.workFile(from))
    const { bytes, checksum, blocks } = file
    files.push({ name: `${FOLDER}/${name}`, rows, bytes, checksum, blocks, from })
  }
  for (const stage of plan.stages) {
    for (const { name, label, payload } of stage.chain) {
      const step = registry.steps.get(name)
      if (step?.kind !== 'map' || !step.gather) continue
      const merged = await step.gather(
        payload,
        await partsOf(stage.index, label, execution, directory),
        local(`${label}.`),
      )
      for (const { name: table, rows, file } of merged.files) await publish(`${label}/${table}.parquet`, rows, file)
      statistics.push({ step: label, ...merged.summary })
    }
  }
  if (statistics.length > 0) {
    const { shares } = execution
    await publish('shares.parquet', shares.length, writeStepShares(local('step-shares.parquet'), shares))
  }
  return { files, statistics }
}

/** Local paths of what a step left of each task, in the order of the tasks. */
async function partsOf(stage: number, label: string, execution: Execution, directory: RunDirectory): Promise<string[]> {
  const parts: string[] = []
  for (const { result } of execution.outcomes[stage] ?? []) {
    const part = result.gathered?.find(({ step }) => step === label)
    if (part) parts.push(await directory.localCopy(directory.workFile(part.path)))
  }
  return parts
}
