/**
 * Reads one row of a run's input again, by its identity: the file and the position in it.
 *
 * A manifest names inputs relative to the pipeline file and never says where that was, so the places it is
 * likely to be are looked at. Of a large file that can be read from any byte, the row alone is read; of others the
 * split that owns the position, up to it; of a compressed stream all from its start.
 */
import { dirname, join, resolve } from 'node:path'
import { GristmillError } from '../../core/errors.js'
import { lookContext, wholeSplit } from '../../engine/look.js'
import type { Manifest } from '../../engine/manifest.js'
import type { SourceSpec } from '../../engine/pipeline.js'
import type { Registry } from '../../engine/registry.js'
import type { ByteStores } from '../../io/store.js'
import type { Batch, Columns } from '../../kernels/batch.js'
import { Expression } from '../../kernels/expression.js'
import type { InputFile, Range, SourceFormat, SourceOptions, Split } from '../../sources/source.js'

const CHUNK_BYTES = 1 << 20

/** Why a row cannot be read again; a sentence for the user. */
export interface Gone {
  readonly gone: string
}

export interface Reread {
  /** The row alone; the caller disposes it. */
  readonly batch: Batch
  /** What is doubtful about it. */
  readonly notes: readonly string[]
}

export interface InputContext {
  readonly manifest: Manifest
  readonly registry: Registry
  readonly stores: ByteStores
  /** Folders in which the pipeline file may have been; `--pipeline` is the only one when given. */
  readonly baseFolders: readonly string[]
}

/** Beside the shell's folder, and from the run upwards. */
export function likelyFolders(run: string): string[] {
  const folders = [process.cwd()]
  if (!/^[a-z0-9]+:\/\//iu.test(run)) {
    for (let folder = resolve(run); folder !== dirname(folder); folder = dirname(folder)) folders.push(folder)
  }
  return [...new Set(folders)]
}

export class InputReader {
  readonly #context: InputContext
  readonly #source: SourceFormat
  readonly #options: SourceOptions
  readonly columns: Columns
  #baseFolder: string | undefined

  constructor(context: InputContext) {
    const { manifest, registry } = context
    this.#context = context
    const { source } = manifest.configuration as { readonly source: SourceSpec }
    const format = manifest.source && registry.sources.get(manifest.source.format)
    if (!manifest.source || !format) {
      throw new GristmillError('GM_VERIFY', 'the manifest does not say how the inputs were read', {
        hint: 'the run is of an earlier version: run it again into another --out',
      })
    }
    this.#source = format
    this.columns = manifest.source.columns
    this.#options = {
      text: source.text,
      id: source.id,
      columns: source.columns,
      types: source.types,
      onMissing: source.onMissing,
      maxRecordBytes: source.maxRecordBytes,
      format: format.options.parse(source.options),
    }
  }

  /** The folder that relative paths of the pipeline start from, once an input was found. */
  get baseFolder(): string | undefined {
    return this.#baseFolder
  }

  async read(path: string, position: number): Promise<Reread | Gone> {
    if (path === '-') return { gone: 'it came through standard input, which cannot be read again' }
    const located = await this.#locate(path)
    if ('gone' in located) return located
    const { file, notes } = located
    for await (const found of this.#rowsAround(file, position)) {
      let batch: Batch | undefined = found
      try {
        atPosition(position).prune(batch)
        if (batch.keptRows === 0) continue
        batch.change((handle) => handle.compact())
        const row = batch
        batch = undefined // handed over
        return { batch: row, notes }
      } finally {
        batch?.dispose()
      }
    }
    return { gone: `${path} has no row at ${position}: it changed since the run` }
  }

  async #locate(path: string): Promise<{ file: InputFile; notes: string[] } | Gone> {
    const known = this.#context.manifest.inputs.find((input) => input.path === path)
    const isAddress = path.includes('://')
    const folders = this.#baseFolder === undefined ? this.#context.baseFolders : [this.#baseFolder]
    const places = isAddress ? [{ url: path }] : folders.map((folder) => ({ url: join(folder, path), folder }))
    const found: { file: InputFile; folder?: string }[] = []
    for (const { url, ...place } of places) {
      const { store, key } = await this.#context.stores.locate(url)
      const entry = await store.stat(key)
      if (entry) found.push({ file: { path, url, size: entry.bytes, fingerprint: entry.fingerprint }, ...place })
      if (entry && entry.bytes === known?.bytes) break
    }
    const best = found.find(({ file }) => file.size === known?.bytes) ?? found[0]
    if (!best) {
      const looked = isAddress
        ? path
        : `${path} (looked for in ${folders.slice(0, 2).join(', ')}${folders.length > 2 ? ', …' : ''})`
      return { gone: `the input ${looked} is gone` }
    }
    if (best.folder !== undefined) this.#baseFolder = best.folder
    const { file } = best
    const changed = known !== undefined && known.fingerprint !== file.fingerprint
    const how =
      file.size === known?.bytes ? 'its modification time differs' : `it had ${known?.bytes} bytes and has ${file.size}`
    return { file, notes: changed ? [`${path} may have changed since the run: ${how}`] : [] }
  }

  /** Batches of the stretch that owns a position. */
  async *#rowsAround(file: InputFile, position: number): AsyncGenerator<Batch> {
    const context = lookContext(this.#context.stores, CHUNK_BYTES)
    const planned = await this.#source.plan([file], this.#options, context)
    const splits = planned.filter((split) => split.kind === 'split')
    const owner =
      splits.findLast(({ pieces }) => pieces.some(({ range }) => mayOwn(range, position))) ?? wholeSplit(file)
    const reads = owner.pieces[0]!.range.kind === 'bytes' ? [narrowed(owner, position), owner] : [owner]
    for (const split of reads) yield* this.#source.read(split, this.columns, this.#options, undefined, context)
  }
}

/**
 * The stretch that owns a record at the position alone. Where records are not found from any byte on (text in
 * stretches of a fixed length) it has none of that position, and the whole stretch is read after it.
 */
function narrowed(owner: Split, position: number): Split {
  const { file } = owner.pieces[0]!
  const range: Range = { kind: 'bytes', from: Math.max(0, position - 1), to: position }
  return { kind: 'split', pieces: [{ file, range }], bytes: 1 }
}

/** Whether a range may hold the record at a position; the last such range does. */
function mayOwn(range: Range, position: number): boolean {
  switch (range.kind) {
    case 'whole':
      return true
    case 'bytes':
    case 'frames':
      return (position === 0 && range.from === 0) || (range.from < position && position <= range.to)
    case 'rowGroups':
      return range.firstRow <= position
    case 'exact':
    case 'spool':
      return range.from <= position
  }
}

const atPosition = (position: number): Expression =>
  new Expression({
    kind: 'compare',
    op: '=',
    left: { kind: 'column', name: '__position', type: 'int64' },
    right: { kind: 'literal', type: 'int64', value: position },
  })
