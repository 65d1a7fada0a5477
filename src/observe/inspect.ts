/** What is in a run directory, for people: sums of a finished run, commits of an unfinished one. */
import type { Manifest } from '../engine/manifest.js'
import type { ByteStore } from '../io/store.js'
import { openRun } from './run-directory.js'

/** Commit records that are read to tell the stages; a run may have hundreds of thousands. */
const READ_COMMITS = 2000
const CONCURRENT_READS = 16

export type Inspection =
  | { readonly state: 'finished'; readonly manifest: Manifest; readonly outputBytes: number }
  | {
      readonly state: 'unfinished'
      /** Tasks that are committed. */
      readonly tasks: number
      /** Tasks by stage; empty when there are too many records to read them all. */
      readonly stages: readonly { readonly stage: string; readonly tasks: number }[]
    }

export async function inspectRun(store: ByteStore): Promise<Inspection> {
  const run = await openRun(store)
  if (run.state === 'finished') {
    const files = run.manifest.shards.flatMap((shard) => shard.files)
    return { ...run, outputBytes: files.reduce((sum, file) => sum + file.bytes, 0) }
  }
  const { commits } = run
  if (commits.length > READ_COMMITS) return { state: 'unfinished', tasks: commits.length, stages: [] }
  return { state: 'unfinished', tasks: commits.length, stages: await stagesOf(store, commits) }
}

async function stagesOf(store: ByteStore, commits: readonly string[]): Promise<{ stage: string; tasks: number }[]> {
  const counts = new Map<string, number>()
  for (let from = 0; from < commits.length; from += CONCURRENT_READS) {
    const stages = await Promise.all(commits.slice(from, from + CONCURRENT_READS).map((key) => stageOf(store, key)))
    for (const stage of stages) counts.set(stage, (counts.get(stage) ?? 0) + 1)
  }
  return [...counts].map(([stage, tasks]) => ({ stage, tasks }))
}

/** The stage a commit record names. Another run may be at work here, so a record may have gone or be in the making. */
async function stageOf(store: ByteStore, key: string): Promise<string> {
  const entry = await store.stat(key)
  if (entry === undefined) return 'unknown'
  try {
    const record = JSON.parse((await store.read(key, 0, entry.bytes)).toString('utf8')) as { stage?: unknown } | null
    return typeof record?.stage === 'string' ? record.stage : 'unknown'
  } catch {
    return 'unknown'
  }
}
