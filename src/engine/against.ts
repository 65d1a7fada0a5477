/**
 * Indexes of deduplications: what a run leaves for later runs, and where a run finds those of earlier ones.
 *
 * This file looks indexes up; they are written by `index-output.ts` and read in `decide-task.ts`.
 */
import path from 'node:path'
import { GristmillError } from '../core/errors.js'
import type { ByteStores } from '../io/store.js'
import { identityOf } from './identity.js'
import type { Manifest, ManifestIndex } from './manifest.js'
import type { DedupPayload, MinhashPayload } from './plan.js'
import type { PreparedStep } from './prepare.js'

/** A file of an earlier run's index. */
export interface IndexedFile {
  /** The run, as the pipeline names it. */
  readonly run: string
  /** Where the run is: an absolute path or an `s3://` address; no output may depend on it. */
  readonly url: string
  readonly name: string
  readonly rows: number
  readonly bytes: number
  readonly checksum: string
}

/** What a deduplication compares, without what it decides by: indexes with equal ones fit each other. */
export function comparedBy(payload: DedupPayload | MinhashPayload): Pick<ManifestIndex, 'kind' | 'compares'> {
  if (payload.kind === 'exact') {
    const { kind, on, normalize } = payload
    return { kind, compares: { on, normalize } }
  }
  const { kind, shingle, size, normalize, bands, rows } = payload
  return { kind, compares: { shingle, size, normalize, bands, rows } }
}

/** The files of the earlier runs each deduplication compares with, by its label. */
export async function findIndexes(
  steps: readonly PreparedStep[],
  baseFolder: string,
  stores: ByteStores,
): Promise<ReadonlyMap<string, readonly IndexedFile[]>> {
  const found = new Map<string, readonly IndexedFile[]>()
  for (const { label, payload } of steps) {
    const dedup = payload as DedupPayload | MinhashPayload | { readonly kind?: undefined } | null
    if ((dedup?.kind !== 'exact' && dedup?.kind !== 'minhash') || dedup.against.length === 0) continue
    const files: IndexedFile[] = []
    for (const run of dedup.against) files.push(...(await filesOfRun(run, { label, dedup, baseFolder, stores })))
    found.set(label, files)
  }
  return found
}

async function filesOfRun(
  run: string,
  {
    label,
    dedup,
    baseFolder,
    stores,
  }: {
    readonly label: string
    readonly dedup: DedupPayload | MinhashPayload
    readonly baseFolder: string
    readonly stores: ByteStores
  },
): Promise<IndexedFile[]> {
  const url = run.startsWith('s3://') ? run : path.resolve(baseFolder, run)
  const store = await stores.open(url)
  const entry = await store.stat('manifest.json')
  if (!entry) {
    throw new GristmillError('GM_CONFIG', `${label}: against names ${run}, which holds no finished run`, {
      hint: 'against takes run directories, relative to the pipeline file; finish that run first',
    })
  }
  const manifest = JSON.parse((await store.read('manifest.json', 0, entry.bytes)).toString('utf8')) as Manifest
  const wanted = comparedBy(dedup)
  const fits = manifest.indexes.filter(
    ({ kind, compares }) => kind === wanted.kind && identityOf(compares) === identityOf(wanted.compares),
  )
  if (fits.length === 0) {
    const show = ({ step, compares }: ManifestIndex): string => `${step} ${JSON.stringify(compares)}`
    const others = manifest.indexes.map(show).join('; ')
    throw new GristmillError(
      'GM_CONFIG',
      `${label}: the run ${run} has no index for ${JSON.stringify(wanted.compares)}; it has ${others === '' ? 'none' : others}`,
      { hint: 'both runs must compare the same way, and the earlier one must not have index: false' },
    )
  }
  const files = fits.flatMap((index) => index.files)
  return files.map(({ name, rows, bytes, checksum }) => ({ run, url: store.url, name, rows, bytes, checksum }))
}

/** What the manifest says of the runs that were compared with; a finished run is looked at again when it changes. */
export function againstOf(found: ReadonlyMap<string, readonly IndexedFile[]>): Manifest['against'] {
  return [...found].flatMap(([step, files]) =>
    [...new Set(files.map(({ run }) => run))].map((run) => {
      const own = files.filter((file) => file.run === run)
      const rows = own.reduce((sum, file) => sum + file.rows, 0)
      return { step, run, rows, checksum: identityOf(own.map(({ checksum }) => checksum)) }
    }),
  )
}
