/**
 * Checks a finished run: every byte against its checksum, every count against the manifest.
 *
 * It reports what it finds and mends nothing. Files are streamed, a few at a time, at the speed of the disk.
 */
import { GristmillError, type ErrorCode } from '../core/errors.js'
import { formatCount } from '../core/units.js'
import type { Manifest, ManifestFile, ManifestShard } from '../engine/manifest.js'
import type { ByteStore } from '../io/store.js'
import { BLOCK_BYTES, hashBlocks, parquetFooterRows } from '../kernels/block-hash.js'
import { openMegatron } from './megatron-reader.js'
import { packProblem } from './packs.js'
import { LISTED_FOLDERS, manifestFiles, openRun } from './run-directory.js'

/** Files read at once: enough to keep a disk or a network busy. */
const CONCURRENT_FILES = 4
const CHUNK_BYTES = 1 << 20
const HASH_DIGITS = 16

export interface Finding {
  readonly code: Extract<ErrorCode, 'GM_SHARD_CHECKSUM' | 'GM_VERIFY'>
  /** The file or, for sums, `manifest.json`. */
  readonly file: string
  readonly message: string
  /** First MiB block that differs. */
  readonly block?: number
}

export interface Verification {
  readonly name: string
  readonly files: number
  readonly bytes: number
  readonly findings: readonly Finding[]
}

export interface VerifyOptions {
  readonly signal?: AbortSignal
  /** Called when a file has been read. */
  onFile?(done: {
    readonly files: number
    readonly ofFiles: number
    readonly bytes: number
    readonly ofBytes: number
  }): void
}

/** Verifies the run in `store`; throws only when there is no finished run to look at. */
export async function verifyRun(store: ByteStore, options: VerifyOptions = {}): Promise<Verification> {
  const run = await openRun(store)
  if (run.state === 'unfinished') {
    throw new GristmillError(
      'GM_VERIFY',
      `this run is unfinished: ${formatCount(run.commits.length)} tasks are committed and there is no manifest`,
      {
        hint: 'run the same command again to finish it',
      },
    )
  }
  const { manifest } = run
  const files = manifestFiles(manifest)
  const present = await listFiles(store)
  const findings = [...presenceFindings(files, present), ...sumFindings(manifest)]
  const readable = files.filter((file) => present.get(file.name) === file.bytes)
  findings.push(...(await contentFindings(store, readable, options)))
  const whole = new Set(readable.map((file) => file.name))
  for (const finding of findings) whole.delete(finding.file)
  findings.push(...(await countFindings(store, manifest, whole, options.signal)))
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
  return { name: manifest.name, files: files.length, bytes, findings }
}

async function listFiles(store: ByteStore): Promise<Map<string, number>> {
  const lists = await Promise.all(LISTED_FOLDERS.map((folder) => store.list(folder)))
  return new Map(lists.flat().map((entry) => [entry.key, entry.bytes]))
}

/** Missing files, wrong sizes, files nobody listed. */
function presenceFindings(files: readonly ManifestFile[], present: ReadonlyMap<string, number>): Finding[] {
  const findings: Finding[] = []
  for (const { name, bytes } of files) {
    const found = present.get(name)
    if (found === undefined) findings.push(problem(name, 'is missing'))
    else if (found !== bytes)
      findings.push(problem(name, `has ${formatCount(found)} bytes, the manifest states ${formatCount(bytes)}`))
  }
  const listed = new Set(files.map((file) => file.name))
  for (const name of present.keys()) if (!listed.has(name)) findings.push(problem(name, 'is not in the manifest'))
  return findings
}

const problem = (file: string, message: string): Finding => ({ code: 'GM_VERIFY', file, message })

/** The manifest against itself. */
function sumFindings({ totals, shards, removed, routed = [], quarantine }: Manifest): Finding[] {
  const sum = (list: readonly { readonly rows: number }[]): number => list.reduce((all, one) => all + one.rows, 0)
  const tokens = shards.reduce((all, shard) => all + (shard.tokens ?? 0), 0)
  const claims: [what: string, stated: number, counted: number][] = [
    [
      'rowsIn + added = rowsOut + removed + routed + quarantined + pruned',
      totals.rowsIn + totals.added,
      totals.rowsOut + totals.removed + (totals.routed ?? 0) + totals.quarantined + totals.pruned,
    ],
    ['rowsOut and the rows of the shards', totals.rowsOut, sum(shards)],
    ['removed and the rows of removed/', totals.removed, sum(removed)],
    ['routed and the rows of routed/', totals.routed ?? 0, sum(routed)],
    ['quarantined and the rows of quarantine/', totals.quarantined, sum(quarantine)],
  ]
  if (shards.some((shard) => shard.tokens !== undefined))
    claims.push(['tokens and the tokens of the shards', totals.tokens, tokens])
  return claims
    .filter(([, stated, counted]) => stated !== counted)
    .map(([what, stated, counted]) =>
      problem('manifest.json', `${what}: ${formatCount(stated)} is not ${formatCount(counted)}`),
    )
}

/** Hashes every file. */
async function contentFindings(
  store: ByteStore,
  files: readonly ManifestFile[],
  options: VerifyOptions,
): Promise<Finding[]> {
  const { signal } = options
  const ofBytes = files.reduce((sum, file) => sum + file.bytes, 0)
  const findings: (Finding | undefined)[] = Array.from({ length: files.length })
  let [next, done, bytes] = [0, 0, 0]
  const worker = async (): Promise<void> => {
    for (let at = next++; at < files.length; at = next++) {
      const file = files[at]!
      signal?.throwIfAborted()
      const stream = store.stream(file.name, { chunkBytes: () => CHUNK_BYTES, ...(signal && { signal }) })
      findings[at] = checksumFinding(file, await hashBlocks(file.name, stream))
      bytes += file.bytes
      options.onFile?.({ files: ++done, ofFiles: files.length, bytes, ofBytes })
    }
  }
  const results = await Promise.allSettled(Array.from({ length: CONCURRENT_FILES }, worker))
  for (const result of results) if (result.status === 'rejected') throw result.reason
  return findings.filter((finding) => finding !== undefined)
}

function checksumFinding(
  stated: ManifestFile,
  found: { readonly checksum: string; readonly blocks: string },
): Finding | undefined {
  const count = Math.max(stated.blocks.length, found.blocks.length) / HASH_DIGITS
  const hash = (blocks: string, at: number): string => blocks.slice(at * HASH_DIGITS, (at + 1) * HASH_DIGITS)
  const bad = Array.from({ length: count }, (_, at) => at).filter(
    (at) => hash(stated.blocks, at) !== hash(found.blocks, at),
  )
  const [block] = bad
  if (block !== undefined) {
    const to = Math.min(stated.bytes, (block + 1) * BLOCK_BYTES)
    const others = bad.length > 1 ? ` and ${bad.length - 1} more` : ''
    const message = `MiB block ${block}${others} does not match its checksum (bytes ${block * BLOCK_BYTES} to ${to - 1}): expected ${hash(stated.blocks, block)}, got ${hash(found.blocks, block)}`
    return { code: 'GM_SHARD_CHECKSUM', file: stated.name, block, message }
  }
  if (stated.checksum === found.checksum) return undefined
  return {
    code: 'GM_SHARD_CHECKSUM',
    file: stated.name,
    message: `its checksum is ${found.checksum}, the manifest states ${stated.checksum}`,
  }
}

/** What the files themselves count, for those whose bytes are right: it finds mistakes of ours, not of the disk. */
async function countFindings(
  store: ByteStore,
  manifest: Manifest,
  whole: ReadonlySet<string>,
  signal: AbortSignal | undefined,
): Promise<Finding[]> {
  const findings: Finding[] = []
  const check = async (
    file: string,
    needs: readonly string[],
    work: () => Promise<string | undefined>,
  ): Promise<void> => {
    signal?.throwIfAborted()
    if (!needs.every((name) => whole.has(name))) return // reported already
    const message = await work().catch(messageOf)
    if (message !== undefined) findings.push(problem(file, message))
  }
  for (const shard of manifest.shards) {
    const names = shard.files.map((file) => file.name)
    const idx = names.find((name) => name.endsWith('.idx'))
    if (idx !== undefined) await check(idx, names, () => indexProblem(store, shard))
    for (const name of names.filter((name) => name.endsWith('.parquet'))) {
      await check(name, [name], () => parquetProblem(store, name, shard.rows))
    }
  }
  for (const pack of manifest.packs) {
    const names = pack.files.map((file) => file.name)
    await check(`packs/${pack.length}`, names, () => packProblem(store, pack, manifest.shards))
  }
  const indexed = manifest.indexes.flatMap((index) => index.files)
  const { removed, edits = [], routed = [], statistics = [] } = manifest
  const records = [...removed, ...edits, ...routed, ...indexed, ...statistics]
  for (const { name, rows } of records) await check(name, [name], () => parquetProblem(store, name, rows))
  for (const { name, rows } of manifest.quarantine) await check(name, [name], () => linesProblem(store, name, rows))
  return findings
}

/** A file whose bytes are right but which no reader understands is a finding like any other. */
function messageOf(error: unknown): string {
  if (error instanceof GristmillError && error.code === 'GM_FORMAT') return error.message
  throw error
}

async function indexProblem(store: ByteStore, { name, rows, tokens }: ManifestShard): Promise<string | undefined> {
  const shard = await openMegatron(store, name)
  if (shard.documents !== rows)
    return `${formatCount(shard.documents)} documents, the manifest states ${formatCount(rows)} rows`
  const found = await shard.problem()
  if (found !== undefined) return found
  const counted = await shard.totalTokens()
  return counted === tokens
    ? undefined
    : `${formatCount(counted)} tokens, the manifest states ${formatCount(tokens ?? 0)}`
}

async function parquetProblem(store: ByteStore, name: string, rows: number): Promise<string | undefined> {
  const counted = await parquetRows(store, name)
  return counted === rows ? undefined : `${formatCount(counted)} rows, the manifest states ${formatCount(rows)}`
}

/** Rows of a Parquet file by its footer: metadata, its length in 4 bytes, `PAR1`. */
async function parquetRows(store: ByteStore, name: string): Promise<number> {
  const bytes = (await store.stat(name))?.bytes ?? 0
  const tail = await store.read(name, Math.max(0, bytes - 8), bytes)
  if (tail.toString('latin1', 4) !== 'PAR1')
    throw new GristmillError('GM_FORMAT', `${name} does not end as Parquet does`)
  const metadata = await store.read(name, Math.max(0, bytes - 8 - tail.readUInt32LE(0)), bytes - 8)
  return parquetFooterRows(metadata)
}

async function linesProblem(store: ByteStore, name: string, rows: number): Promise<string | undefined> {
  let lines = 0
  for await (const chunk of store.stream(name, { chunkBytes: () => CHUNK_BYTES })) {
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines++
  }
  return lines === rows ? undefined : `${formatCount(lines)} lines, the manifest states ${formatCount(rows)} records`
}
