/**
 * The `index.json` beside MDS shards: which shards there are, and what is said of each.
 *
 * Shards are read by their own heads; the index is held against them.
 */
import { posix } from 'node:path'
import { z } from 'zod'
import { mapConcurrent } from '../core/concurrent.js'
import { GristmillError } from '../core/errors.js'
import type { InputFile, PlanContext } from './source.js'

/** Name of the index in a folder of shards. */
export const INDEX_NAME = 'index.json'

/** Files that are looked up at a time. */
const CONCURRENT_FILES = 16

const FileInfo = z.object({
  basename: z.string().min(1),
  bytes: z.int().min(0),
  hashes: z.record(z.string(), z.string()).default({}),
})

const Index = z.object({
  version: z.literal(2),
  shards: z.array(
    z.object({
      format: z.literal('mds'),
      samples: z.int().min(0),
      compression: z.string().nullish(),
      raw_data: FileInfo,
      zip_data: FileInfo.nullish(),
    }),
  ),
})

/** What the index says of a shard as it is stored. */
export interface ListedShard {
  readonly samples: number
  readonly bytes: number
  /** Checksums of the file by the name of the algorithm, in hexadecimal digits. */
  readonly hashes: Readonly<Record<string, string>>
}

type Shards = ReadonlyMap<string, ListedShard>

/** Looks shards up in the index of their folder; an index is read once. */
export class MdsIndexes {
  readonly #context: Pick<PlanContext, 'stores'>
  readonly #folders = new Map<string, Promise<Shards | undefined>>()

  constructor(context: Pick<PlanContext, 'stores'>) {
    this.#context = context
  }

  /**
   * What the index says of a shard; undefined when there is none.
   *
   * @throws GM_FORMAT when the index is damaged or does not list the shard.
   */
  async of(file: InputFile): Promise<ListedShard | undefined> {
    const folder = folderOf(file.url)
    let shards = this.#folders.get(folder)
    if (shards === undefined) {
      shards = this.#read(folder)
      // A failure is thrown where it is awaited.
      shards.catch(() => undefined)
      this.#folders.set(folder, shards)
    }
    const listed = await shards
    const name = file.url.slice(folder.length)
    if (listed === undefined) return undefined
    const shard = listed.get(name)
    if (shard === undefined) throw new GristmillError('GM_FORMAT', `${INDEX_NAME} beside it does not list ${name}`)
    return shard
  }

  async #read(folder: string): Promise<Shards | undefined> {
    const { store, key } = await this.#context.stores.locate(`${folder}${INDEX_NAME}`)
    const entry = await store.stat(key)
    if (entry === undefined) return undefined
    return new Map(shardsOf(await store.read(key, 0, entry.bytes)).flat())
  }
}

/** The files with each index among them replaced by the shards it lists; a shard that is there twice counts once. */
export async function withListedShards(files: readonly InputFile[], context: PlanContext): Promise<InputFile[]> {
  const lists = await mapConcurrent(files, CONCURRENT_FILES, async (file) =>
    posix.basename(file.path) === INDEX_NAME ? listedFiles(file, context) : [file],
  )
  const byUrl = new Map(lists.flat().map((file) => [file.url, file]))
  return [...byUrl.values()]
}

/** The shards of an index as they are stored: compressed, where both are named and that one is there. */
async function listedFiles(index: InputFile, context: PlanContext): Promise<InputFile[]> {
  const { store, key } = await context.stores.locate(index.url)
  let shards: [string, ListedShard][][]
  try {
    shards = shardsOf(await store.read(key, 0, index.size))
  } catch (error) {
    if (!(error instanceof GristmillError) || error.code !== 'GM_FORMAT') throw error
    throw new GristmillError('GM_CONFIG', `${index.path}: ${error.message}`, { hint: 'name the shards themselves' })
  }
  return mapConcurrent(shards, CONCURRENT_FILES, async (forms) => {
    for (const [name] of forms) {
      const url = `${folderOf(index.url)}${name}`
      const found = await context.stores.locate(url)
      const entry = await found.store.stat(found.key)
      const { bytes: size = 0, fingerprint = '' } = entry ?? {}
      if (entry !== undefined) return { path: `${folderOf(index.path)}${name}`, url, size, fingerprint }
    }
    const names = forms.map(([name]) => name).join(' or ')
    throw new GristmillError('GM_INPUT_NONE', `${index.path} lists ${names}, which is not beside it`, {
      hint: 'fetch the shard, or name those that are there instead of the index',
    })
  })
}

/** The shards of an index, each by the names it may have: compressed first. */
function shardsOf(json: Uint8Array): [string, ListedShard][][] {
  let parsed: z.infer<typeof Index>
  try {
    parsed = Index.parse(JSON.parse(Buffer.from(json).toString('utf8')))
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message
    throw new GristmillError('GM_FORMAT', `${INDEX_NAME} is no index of MDS shards, version 2: ${reason}`)
  }
  return parsed.shards.map(({ samples, raw_data: raw, zip_data: zip }) =>
    [zip, raw]
      .filter((info) => info !== null && info !== undefined)
      .map(({ basename, bytes, hashes }) => [safeName(basename), { samples, bytes, hashes }]),
  )
}

/** An index names files of its folder, and of no other. */
function safeName(name: string): string {
  const inside = !name.startsWith('/') && !name.split('/').includes('..')
  if (!inside) throw new GristmillError('GM_FORMAT', `${INDEX_NAME} names ${name}, which is outside of its folder`)
  return name
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1)
}
