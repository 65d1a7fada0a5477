/** What a run directory is from the outside: finished with a manifest, unfinished with commits, or none. */
import { GristmillError } from '../core/errors.js'
import type { Manifest, ManifestFile } from '../engine/manifest.js'
import type { ByteStore } from '../io/store.js'

export const MANIFEST = 'manifest.json'

/** Folders whose every file the manifest lists. */
export const LISTED_FOLDERS = [
  'shards',
  'ids',
  'packs',
  'removed',
  'edits',
  'routed',
  'quarantine',
  'index',
  'stats',
  'fitted',
] as const

export type RunState =
  | { readonly state: 'finished'; readonly manifest: Manifest }
  | { readonly state: 'unfinished'; readonly commits: readonly string[] }

/** Looks at a folder; one that is no run directory is an error. */
export async function openRun(store: ByteStore): Promise<RunState> {
  const entry = await store.stat(MANIFEST)
  if (entry !== undefined)
    return { state: 'finished', manifest: parseManifest(await store.read(MANIFEST, 0, entry.bytes)) }
  const commits = (await store.list('commits')).map(({ key }) => key)
  if (commits.length > 0) return { state: 'unfinished', commits }
  throw new GristmillError('GM_RUN_MISSING', `${store.url} is no run directory: it has no ${MANIFEST} and no commits/`)
}

function parseManifest(bytes: Buffer): Manifest {
  const damaged = (reason: string, cause?: unknown): GristmillError =>
    new GristmillError('GM_VERIFY', `${MANIFEST} is damaged: ${reason}`, { cause })
  let manifest: Partial<Manifest> | null
  try {
    manifest = JSON.parse(bytes.toString('utf8')) as Partial<Manifest> | null
  } catch (cause) {
    throw damaged('it is not valid JSON', cause)
  }
  if (manifest?.schemaVersion !== 1) {
    throw damaged(`its schemaVersion is ${String(manifest?.schemaVersion)}, this gristmill reads 1`)
  }
  for (const key of ['shards', 'packs', 'removed', 'quarantine', 'inputs', 'attempts', 'columns'] as const) {
    if (!Array.isArray(manifest[key])) throw damaged(`it has no list '${key}'`)
  }
  if (typeof manifest.totals !== 'object' || manifest.totals === null) throw damaged(`it has no 'totals'`)
  return manifest as Manifest
}

/** Every file that the manifest lists, in its order. */
export function manifestFiles(manifest: Manifest): ManifestFile[] {
  return [
    ...manifest.shards.flatMap((shard) => shard.files),
    ...manifest.packs.flatMap((pack) => pack.files),
    ...manifest.removed,
    ...(manifest.routed ?? []),
    ...(manifest.edits ?? []),
    ...manifest.quarantine,
    ...manifest.indexes.flatMap((index) => index.files),
    ...(manifest.statistics ?? []),
    ...(manifest.fitted ?? []),
  ]
}
