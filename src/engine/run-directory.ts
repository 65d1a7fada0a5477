/**
 * The run directory: where everything lies, and the rules by which it changes.
 *
 * - `work/` holds what is unfinished or unpublished: task outputs by task name, keys, the list of
 *   published names. A reader never looks there.
 * - `commits/NAME.json` says that a task is done. It is written after the task's files are in place.
 * - Publishing gives finished files their final names, once the number of tasks, and so every shard's
 *   number, is known. `work/published.json` is written first, so that a run that goes on (after a kill, or
 *   with more inputs) can take the names back, whatever was moved already.
 * - `manifest.json` is written last. A directory without it is unfinished.
 *
 * Nothing waits for the disk. What was written before the machine was last started may have been lost, so
 * files of such commits are hashed before they are trusted, and scratch files of such commits are not.
 */
import { mkdir, rm, rmdir, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { bootId } from '../core/boot.js'
import { mapConcurrent } from '../core/concurrent.js'
import { GristmillError, ioError } from '../core/errors.js'
import type { ByteStore } from '../io/store.js'
import { BLOCK_BYTES, hashBlocks } from '../kernels/block-hash.js'
import { digestOf } from './identity.js'
import type { Manifest, ManifestAttempt } from './manifest.js'
import type { DecideResult, MapResult } from './task.js'

export interface Commit {
  readonly schemaVersion: 1
  readonly task: string
  readonly stage: string
  readonly attempt: number
  readonly seconds: number
  /** Files the task published into `work/`, by suffix of the task's name. */
  readonly files: readonly { readonly name: string; readonly bytes: number; readonly checksum: string }[]
  /** Start of the machine that wrote it; see `core/boot.ts`. */
  readonly boot: string
  /** The task's result; paths are names within the run directory's `work/`. */
  readonly result: unknown
}

/** A file's name in `work/` and its final name. */
export interface Publication {
  readonly from: string
  readonly to: string
}

const ATTEMPTS = 'work/attempts/'
const PUBLISHED = 'work/published.json'
const CONFIGURATION = 'work/configuration.json'
const FINISHED = 'work/finished.json'
/** Files looked at together. */
const CONCURRENT_LOOKS = 64

export class RunDirectory {
  readonly store: ByteStore
  /** Local folder for files under construction, spills and spools. */
  readonly scratch: string
  /** Local folder for key files, which later attempts read again. */
  readonly keys: string
  readonly #boot = bootId()
  #commits = new Map<string, Commit>()

  private constructor(store: ByteStore, scratch: string, keys: string) {
    this.store = store
    this.scratch = scratch
    this.keys = keys
  }

  /** Opens the directory of a run, making local folders. */
  static async open(store: ByteStore, scratchOption: string | undefined): Promise<RunDirectory> {
    const name = `gristmill-${digestOf(Buffer.from(store.url)).slice(0, 16)}`
    const local = store.localFolder
    const scratch =
      scratchOption === undefined
        ? local
          ? path.join(local, 'work')
          : path.join(tmpdir(), name)
        : path.join(scratchOption, name)
    const keys = local ? path.join(local, 'work', 'keys') : path.join(scratch, 'keys')
    try {
      for (const folder of [keys, ...['tmp', 'spill', 'spool'].map((sub) => path.join(scratch, sub))]) {
        await mkdir(folder, { recursive: true })
      }
    } catch (cause) {
      throw ioError(`create folders for the run in ${local ?? scratch}`, cause)
    }
    return new RunDirectory(store, scratch, keys)
  }

  folder(kind: 'tmp' | 'spill' | 'spool'): string {
    return path.join(this.scratch, kind)
  }

  /** Forgets what earlier attempts left unfinished. */
  async clearUnfinished(): Promise<void> {
    for (const kind of ['tmp', 'spool'] as const) {
      await rm(this.folder(kind), { recursive: true, force: true })
      await mkdir(this.folder(kind), { recursive: true })
    }
  }

  /** Key of a file in `work/` by its name. */
  workFile(name: string): string {
    return `work/${name}`
  }

  /** A local path of an object: the file itself in a local run directory, else a copy in scratch. */
  async localCopy(key: string): Promise<string> {
    if (this.store.localFolder !== undefined) return path.join(this.store.localFolder, key)
    const copy = path.join(this.folder('tmp'), path.basename(key))
    await writeFile(copy, this.store.stream(key, { chunkBytes: () => 2 ** 20 }))
    return copy
  }

  async readConfiguration(): Promise<{ identity: string; spec: unknown } | undefined> {
    return (await this.#readJson(CONFIGURATION)) as { identity: string; spec: unknown } | undefined
  }

  async writeConfiguration(identity: string, spec: unknown): Promise<void> {
    await this.store.write(CONFIGURATION, JSON.stringify({ schemaVersion: 1, identity, spec }))
  }

  async readManifest(): Promise<Manifest | undefined> {
    return (await this.#readJson('manifest.json')) as Manifest | undefined
  }

  /** Loads every commit record. A damaged one counts as absent: its task runs again. */
  async loadCommits(): Promise<void> {
    const entries = await this.store.list('commits/')
    this.#commits = new Map()
    for (let index = 0; index < entries.length; index += 64) {
      const some = entries.slice(index, index + 64)
      for (const commit of await Promise.all(some.map(async ({ key }) => this.#readJson(key)))) {
        const known = commit as Commit | undefined
        if (known?.schemaVersion === 1 && typeof known.task === 'string') this.#commits.set(known.task, known)
      }
    }
  }

  commitOf(task: string): Commit | undefined {
    return this.#commits.get(task)
  }

  get commits(): Iterable<Commit> {
    return this.#commits.values()
  }

  /** Moves a task's files to `work/`, then writes its commit record. */
  async commit(
    record: Omit<Commit, 'boot'>,
    localFiles: readonly { readonly path: string; readonly name: string }[],
  ): Promise<void> {
    const commit: Commit = { ...record, boot: this.#boot }
    await Promise.all(localFiles.map(async (file) => this.store.publish(file.path, `work/${file.name}`)))
    await this.store.write(`commits/${commit.task}.json`, `${JSON.stringify(commit)}\n`)
    this.#commits.set(commit.task, commit)
  }

  /** Whether a committed task's published files are still there, under `work/`, and can be trusted. */
  async hasFiles(commit: Commit): Promise<boolean> {
    const found = await Promise.all(commit.files.map(async (file) => this.store.stat(`work/${file.name}`)))
    if (!found.every((entry, index) => entry?.bytes === commit.files[index]!.bytes)) return false
    return (
      this.#isOfThisBoot(commit) || this.matches(commit.files.map((file) => ({ ...file, name: `work/${file.name}` })))
    )
  }

  /** Whether files have their checksums. */
  async matches(files: readonly { readonly name: string; readonly checksum: string }[]): Promise<boolean> {
    for (const { name, checksum } of files) {
      if (!(await this.store.stat(name))) return false
      const hashed = await hashBlocks(name, this.store.stream(name, { chunkBytes: () => 4 * BLOCK_BYTES }))
      if (hashed.checksum !== checksum) return false
    }
    return true
  }

  #isOfThisBoot(commit: Commit): boolean {
    return commit.boot === this.#boot || this.store.localFolder === undefined
  }

  /** Whether a task's spill is still there. */
  async hasSpill(task: string, result: MapResult): Promise<boolean> {
    return (
      this.commitOf(task)?.boot === this.#boot &&
      result.spill !== undefined &&
      (await this.#hasLocal(path.join(this.folder('spill'), result.spill.path), result.spill.bytes))
    )
  }

  /** Whether a committed task's keys are still there. */
  async hasKeys(commit: Commit): Promise<boolean> {
    const result = commit.result as MapResult
    if (commit.boot !== this.#boot) return result.keys === undefined
    return (
      result.keys === undefined || (await this.#hasLocal(path.join(this.keys, result.keys.path), result.keys.bytes))
    )
  }

  /** Whether the file of a decision's task is still there. */
  async hasDecisions(commit: Commit, file: string): Promise<boolean> {
    return commit.boot === this.#boot && this.#hasLocal(file, (commit.result as DecideResult).file.bytes)
  }

  async #hasLocal(file: string, bytes: number): Promise<boolean> {
    try {
      return (await stat(file)).size === bytes
    } catch {
      return false
    }
  }

  /** Deletes commits of tasks that the plan no longer has, with their files. */
  async dropCommits(keep: ReadonlySet<string>): Promise<void> {
    for (const commit of this.#commits.values()) {
      if (keep.has(commit.task)) continue
      await this.store.delete(`commits/${commit.task}.json`)
      await Promise.all(commit.files.map(async (file) => this.store.delete(`work/${file.name}`)))
      this.#commits.delete(commit.task)
    }
  }

  /** Gives files their final names. */
  async publish(publications: readonly Publication[]): Promise<void> {
    await this.store.write(PUBLISHED, JSON.stringify(publications))
    for (let index = 0; index < publications.length; index += 16) {
      await Promise.all(publications.slice(index, index + 16).map(async ({ from, to }) => this.store.move(from, to)))
    }
  }

  /** Writes the parameters that steps found in the data, under their final names. */
  async writeFitted(parameters: ReadonlyMap<string, Uint8Array>): Promise<NonNullable<Manifest['fitted']>> {
    const files: NonNullable<Manifest['fitted']>[number][] = []
    for (const [step, bytes] of parameters) {
      const name = `fitted/${step}.json`
      await this.store.write(name, bytes)
      const { checksum, blocks } = await hashBlocks(name, [bytes])
      files.push({ step, name, bytes: bytes.length, checksum, blocks })
    }
    return files
  }

  /** Takes final names back, so that the run can go on; undoes a publication that was cut short, too. */
  async unpublish(): Promise<void> {
    await this.store.delete('manifest.json')
    const published = (await this.#readJson(PUBLISHED)) as Publication[] | undefined
    for (const { from, to } of published ?? []) {
      const [there, back] = await Promise.all([this.store.stat(to), this.store.stat(from)])
      if (there && !back) await this.store.move(to, from)
    }
    for (const folder of [
      'shards/',
      'ids/',
      'packs/',
      'removed/',
      'edits/',
      'routed/',
      'quarantine/',
      'index/',
      'stats/',
      'fitted/',
    ]) {
      await this.store.deleteAll(folder)
    }
    await this.store.delete(PUBLISHED)
  }

  /** Writes an attempt's record; called at its start and at its end. */
  async writeAttempt(attempt: ManifestAttempt): Promise<void> {
    await this.store.write(`${ATTEMPTS}${String(attempt.attempt).padStart(6, '0')}.json`, JSON.stringify(attempt))
  }

  async readAttempts(): Promise<ManifestAttempt[]> {
    const attempts: ManifestAttempt[] = []
    for (const { key } of await this.store.list(ATTEMPTS)) {
      const attempt = (await this.#readJson(key)) as ManifestAttempt | undefined
      if (attempt) attempts.push(attempt)
    }
    return attempts
  }

  /** Marks the run as finished in this start of the machine. */
  async writeFinished(): Promise<void> {
    await this.store.write(FINISHED, JSON.stringify({ schemaVersion: 1, boot: this.#boot }))
  }

  /**
   * Whether a finished run's files are all there and can be trusted: written since the machine started, or of
   * the right hash. People delete a damaged shard to have it written again, so their presence is looked at.
   */
  async isFinished(manifest: Manifest): Promise<boolean> {
    const finished = (await this.#readJson(FINISHED)) as { boot: string } | undefined
    if (!finished) return false
    const groups = [...manifest.shards, ...manifest.packs].flatMap((group) => group.files)
    const indexes = manifest.indexes.flatMap((index) => index.files)
    const { edits = [], routed = [], statistics = [], fitted = [] } = manifest
    const rows = [...manifest.removed, ...edits, ...routed, ...statistics]
    const files = [...groups, ...rows, ...manifest.quarantine, ...indexes, ...fitted]
    const found = await mapConcurrent(files, CONCURRENT_LOOKS, async ({ name }) => this.store.stat(name))
    if (!files.every(({ bytes }, index) => found[index]?.bytes === bytes)) return false
    if (finished.boot === this.#boot || this.store.localFolder === undefined) return true
    if (!(await this.matches(files))) return false
    await this.writeFinished()
    return true
  }

  /** Deletes what a finished run needs no more. Keys stay: with them, more inputs cost only their own work. */
  async clearScratch(): Promise<void> {
    for (const kind of ['tmp', 'spool', 'spill'] as const) {
      await rm(this.folder(kind), { recursive: true, force: true })
    }
    // Without keys there is nothing in the way: a scratch folder elsewhere goes, too. Inside of the run it has files.
    for (const folder of [this.keys, this.scratch]) await rmdir(folder).catch(() => undefined)
  }

  async #readJson(key: string): Promise<unknown> {
    const entry = await this.store.stat(key)
    if (!entry) return undefined
    const bytes = await this.store.read(key, 0, entry.bytes)
    try {
      return JSON.parse(bytes.toString('utf8')) as unknown
    } catch {
      return undefined
    }
  }
}

/** Refuses a folder that is no run directory but holds something. */
export async function refuseForeign(store: ByteStore): Promise<void> {
  const entries = await store.list('')
  const foreign = entries.find(({ key }) => !key.startsWith('work/') && !key.startsWith('.'))
  if (foreign) {
    throw new GristmillError(
      'GM_RUN_OTHER_CONFIG',
      `${store.url} is not empty and is no run directory: it holds ${foreign.key}`,
      {
        hint: 'choose an empty or new folder for --out',
      },
    )
  }
}
