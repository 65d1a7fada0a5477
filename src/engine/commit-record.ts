/**
 * What a commit record holds of a task's result. No path of the machine is written: a record holds file
 * names, and reading it puts the folders back.
 */
import path from 'node:path'
import type { Commit } from './run-directory.js'
import type { DecideResult, MapResult, PackResult, TaskResult } from './task.js'

function writtenBy(result: TaskResult): { readonly path: string; readonly bytes: number; readonly checksum: string }[] {
  if (result.kind === 'decide') return []
  if (result.kind === 'pack') return Object.values(result.window.files)
  const { shards, removed, edits, routed = [], gathered = [], quarantine, index } = result
  return [...shards.flatMap((shard) => shard.files), removed, edits, ...routed, ...gathered, quarantine, index].filter(
    (file) => file !== undefined,
  )
}

interface LocalFile {
  /** Where the file is now. */
  readonly path: string
  /** Its name in `work/`. */
  readonly name: string
  readonly bytes: number
  readonly checksum: string
}

/** The files of a result that are published into `work/` when it is committed. */
export function filesOf(result: TaskResult): LocalFile[] {
  return writtenBy(result).map(({ path: at, bytes, checksum }) => ({
    path: at,
    name: path.basename(at),
    bytes,
    checksum,
  }))
}

/** The record of a finished task. */
export function commitOf(
  task: string,
  stage: string,
  attempt: number,
  seconds: number,
  result: TaskResult,
): Omit<Commit, 'boot'> {
  const files = filesOf(result).map(({ name, bytes, checksum }) => ({ name, bytes, checksum }))
  return { schemaVersion: 1, task, stage, attempt, seconds, files, result: withPaths(result, path.basename) }
}

/** A map result with its names only; `resultIn` gives scratch files their folders. */
export function mapResultOf(commit: Commit): MapResult {
  return commit.result as MapResult
}

export function packResultOf(commit: Commit): PackResult {
  return commit.result as PackResult
}

/** A decide result with its name only; the task knows the folder. */
export function decideResultOf(commit: Commit): DecideResult {
  return commit.result as DecideResult
}

function withPaths(result: TaskResult, change: (file: string) => string): TaskResult {
  const at = <T extends { readonly path: string }>(file: T): T => ({ ...file, path: change(file.path) })
  switch (result.kind) {
    case 'map':
      return {
        ...result,
        shards: result.shards.map((shard) => ({ ...shard, files: shard.files.map(at) })),
        removed: result.removed && at(result.removed),
        ...(result.routed && { routed: result.routed.map(at) }),
        ...(result.gathered && { gathered: result.gathered.map(at) }),
        edits: result.edits && at(result.edits),
        quarantine: result.quarantine && at(result.quarantine),
        spill: result.spill && at(result.spill),
        keys: result.keys && at(result.keys),
        index: result.index && at(result.index),
      }
    case 'decide':
      return { ...result, file: at(result.file) }
    case 'pack': {
      const { pieces, documents, boundaries } = result.window.files
      const files = { pieces: at(pieces), documents: at(documents), boundaries: at(boundaries) }
      return { kind: 'pack', window: { ...result.window, files } }
    }
  }
}
