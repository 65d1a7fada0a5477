/**
 * Packing after the last stage: windows of documents as tasks, then one index over all of them.
 */
import path from 'node:path'
import { assemblePacking, PACK_WINDOW_DOCUMENTS, type PackFiles, type PackOptions } from '../kernels/packing.js'
import type { Execution } from './execution.js'
import { identityOf } from './identity.js'
import type { PackedFiles } from './publish.js'
import type { RunDirectory } from './run-directory.js'
import type { PackResult, PackTask } from './task.js'
import type { Outcome } from './tasks.js'

interface Shard {
  readonly number: number
  /** Name of its `.idx` in `work/`, which derives from content. */
  readonly idx: string
  readonly rows: number
  /** Place of its first document in output order. */
  readonly first: number
}

/** Packs the documents of the last stage; the index is published with the shards. */
export async function packShards(
  { label, length, strategy, truncate }: PackOptions & { readonly label: string },
  outcomes: readonly Outcome[],
  execution: Execution,
  directory: RunDirectory,
): Promise<PackedFiles> {
  const options: PackOptions = { length, strategy, truncate }
  const shards = shardsOf(outcomes)
  const documents = shards.reduce((sum, shard) => sum + shard.rows, 0)
  const tasks: PackTask[] = []
  for (let from = 0; from < documents; from += PACK_WINDOW_DOCUMENTS) {
    tasks.push(await windowTask(options, shards, from, Math.min(documents, from + PACK_WINDOW_DOCUMENTS), directory))
  }
  const windows = await execution.runPacking(tasks, label)
  const parts = windows.map(({ window }) => ({
    pieces: directory.workFile(window.files.pieces.path),
    documents: directory.workFile(window.files.documents.path),
    boundaries: directory.workFile(window.files.boundaries.path),
  }))
  const files = assemblePacking(await localParts(parts, directory), directory.folder('tmp'))
  const sum = (of: (window: PackResult['window']) => number): number =>
    windows.reduce((total, { window }) => total + of(window), 0)
  return {
    pack: {
      length,
      strategy,
      sequences: sum((window) => window.sequences),
      pieces: sum((window) => window.pieces),
      tokens: sum((window) => window.tokens),
      splitDocuments: sum((window) => window.splitDocuments),
      truncatedTokens: sum((window) => window.truncatedTokens),
    },
    files: await publishParts(files, length, directory),
  }
}

function shardsOf(outcomes: readonly Outcome[]): Shard[] {
  let first = 0
  return outcomes
    .flatMap(({ result }) => result.shards)
    .map((shard, number) => {
      const idx = shard.files.find((file) => file.suffix === '.idx')!.path
      const placed = { number, idx, rows: shard.rows, first }
      first += shard.rows
      return placed
    })
}

async function windowTask(
  options: PackOptions,
  shards: readonly Shard[],
  from: number,
  to: number,
  directory: RunDirectory,
): Promise<PackTask> {
  const touched = shards.filter((shard) => shard.first < to && shard.first + shard.rows > from)
  const start = touched[0]?.first ?? 0
  // A shard's number is part of the pieces, so it is part of the name.
  const identity = { options, from, to, start, shards: touched.map(({ number, idx }) => [number, idx]) }
  const name = `p-${identityOf(identity)}`
  const local = await Promise.all(
    touched.map(async ({ number, idx }) => ({ number, idx: await directory.localCopy(directory.workFile(idx)) })),
  )
  return {
    kind: 'pack',
    name,
    stage: -1,
    pack: options,
    shards: local,
    from: from - start,
    to: to - start,
    prefix: path.join(directory.folder('tmp'), name),
  }
}

type Parts = { readonly pieces: string; readonly documents: string; readonly boundaries: string }

async function localParts(parts: readonly Parts[], directory: RunDirectory): Promise<Parts[]> {
  return Promise.all(
    parts.map(async ({ pieces, documents, boundaries }) => ({
      pieces: await directory.localCopy(pieces),
      documents: await directory.localCopy(documents),
      boundaries: await directory.localCopy(boundaries),
    })),
  )
}

async function publishParts(files: PackFiles, length: number, directory: RunDirectory): Promise<PackedFiles['files']> {
  const named = [
    ['pieces.npy', files.pieces],
    ['documents.npy', files.documents],
    ['boundaries.npy', files.boundaries],
  ] as const
  const published: PackedFiles['files'][number][] = []
  for (const [name, { path: local, bytes, checksum, blocks }] of named) {
    await directory.store.publish(local, directory.workFile(name))
    published.push({ from: name, name: `packs/${length}/${name}`, bytes, checksum, blocks })
  }
  return published
}
