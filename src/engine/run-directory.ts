/**
 * The run directory: where everything lies, and the rules by which it changes.
 *
 * - `work/` holds what is unfinished or unpublished: task outputs by task name, keys, the list of
 *   published names. A reader never looks there.
 * - `commits/NAME.json` says that a task is done. It is written after the task's files are durable.
 * - Publishing gives finished files their final names, once the number of tasks, and so every shard's
 *   number, is known. `work/published.json` is written first, so that a run that goes on (after a kill, or
 *   with more inputs) can take the names back, whatever was moved already.
 * - `manifest.json` is written last. A directory without it is unfinished.
 */
import { mkdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { GristmillError, ioError } from '../core/errors.js'
import type { ByteStore } from '../io/store.js'
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
  readonly files: readonly { readonly name: string; readonly bytes: number }[]
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

export class RunDirectory {
  readonly store: ByteStore
  /** Local folder for files under construction, spills and spools. */
  readonly scratch: string
  /** Local folder for key files, which later attempts read again. */
  readonly keys: string
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

  /** Makes a task's files durable under `work/`, then its commit record. */
  async commit(commit: Commit, localFiles: readonly { readonly path: string; readonly name: string }[]): Promise<void> {
    await Promise.all(localFiles.map(async (file) => this.store.publish(file.path, `work/${file.name}`)))
    await this.store.write(`commits/${commit.task}.json`, `${JSON.stringify(commit)}\n`)
    this.#commits.set(commit.task, commit)
  }

  /** Whether a committed task's published files are still there, under `work/`. */
  async hasFiles(commit: Commit): Promise<boolean> {
    const found = await Promise.all(commit.files.map(async (file) => this.store.stat(`work/${file.name}`)))
    return found.every((entry, index) => entry?.bytes === commit.files[index]!.bytes)
  }

  /** Whether a task's spill is still there. */
  async hasSpill(result: MapResult): Promise<boolean> {
    return (
      result.spill !== undefined &&
      (await this.#hasLocal(path.join(this.folder('spill'), result.spill.path), result.spill.bytes))
    )
  }

  async hasKeys(result: MapResult): Promise<boolean> {
    return (
      result.keys === undefined || (await this.#hasLocal(path.join(this.keys, result.keys.path), result.keys.bytes))
    )
  }

  /** Whether a decided partition's file is still there. */
  async hasDecisions(commit: Commit): Promise<boolean> {
    const { file } = commit.result as DecideResult
    return this.#hasLocal(path.join(this.keys, file.path), file.bytes)
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
    for (const commit of [...this.#commits.values()]) {
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

  /** Takes final names back, so that the run can go on; undoes a publication that was cut short, too. */
  async unpublish(): Promise<void> {
    await this.store.delete('manifest.json')
    const published = (await this.#readJson(PUBLISHED)) as Publication[] | undefined
    for (const { from, to } of published ?? []) {
      const [there, back] = await Promise.all([this.store.stat(to), this.store.stat(from)])
      if (there && !back) await this.store.move(to, from)
    }
    for (const folder of ['shards/', 'packs/', 'removed/', 'quarantine/']) await this.store.deleteAll(folder)
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

  /** Deletes what a finished run needs no more. Keys stay: with them, more inputs cost only their own work. */
  async clearScratch(): Promise<void> {
    for (const kind of ['tmp', 'spool', 'spill'] as const) {
      await rm(this.folder(kind), { recursive: true, force: true })
    }
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
