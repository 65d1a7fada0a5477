/**
 * Cuts a file that must be walked from its start into splits, while others read those already cut.
 *
 * What was decompressed goes to spool files, one a split; of a plain file the splits are ranges of the file
 * itself. Where the cuts lie depends on the stream alone. A cut is made when the caller asks for the next
 * split, so that spool files do not pile up; the caller deletes each when its split is done.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { Cutter, type Cut } from '../kernels/cutter.js'
import type { RecordFormat } from '../kernels/readers.js'
import { SPLIT_BYTES } from './byte-splits.js'
import { compressionOfMagic, MAGIC_BYTES, splitName } from './compression.js'
import type { InputFile, PlanContext, Range, Split } from './source.js'
import { type StandardInput, standardInput } from './standard-input.js'

const CHUNK_BYTES = 1 << 20

export interface CutOptions {
  /** Local folder for spool files, which exists. */
  readonly spoolFolder: string
  /** Decompressed bytes of a split, at least. */
  readonly targetBytes?: number
}

export async function* cutFile(
  file: InputFile,
  format: RecordFormat,
  { spoolFolder, targetBytes = SPLIT_BYTES }: CutOptions,
  context: PlanContext,
): AsyncGenerator<Split> {
  const named = splitName(file.path).compression
  const plain = named === 'none' && file.url !== '-' && (await isPlain(file, context))
  using cutter = new Cutter(format, {
    compression: plain ? 'never' : named === 'none' ? 'unknown' : named,
    target: targetBytes,
    ...(!plain && { spool: join(spoolFolder, spoolName(file)) }),
  })
  for await (const chunk of chunksOf(file, context)) {
    for (let again = true; again;) {
      again = cutter.push(chunk)
      for (const cut of cutter.takeCuts()) yield splitOf(file, cut)
    }
  }
  cutter.end()
  for (const cut of cutter.takeCuts()) yield splitOf(file, cut)
}

function splitOf({ path, url, size, fingerprint }: InputFile, cut: Cut): Split {
  const { from, bytes, spool, header, ended } = cut
  const file = { path, url, size, fingerprint }
  const named = header === undefined ? {} : { header }
  const range: Range =
    spool === undefined
      ? { kind: 'exact', from, to: from + bytes, ...named }
      : { kind: 'spool', from, spool, bytes, ...named, ...(ended && { ended }) }
  return { kind: 'split', pieces: [{ file, range }], bytes }
}

async function isPlain(file: InputFile, context: PlanContext): Promise<boolean> {
  const { store, key } = await context.stores.locate(file.url)
  return compressionOfMagic(await store.read(key, 0, MAGIC_BYTES)) === 'none'
}

async function* chunksOf(file: InputFile, context: PlanContext): AsyncGenerator<Uint8Array> {
  if (file.url === '-') {
    if (isTaken(file)) yield file.head
    yield* standardInput(context.signal)
    return
  }
  const { store, key } = await context.stores.locate(file.url)
  yield* store.stream(key, { chunkBytes: () => CHUNK_BYTES, signal: context.signal })
}

function isTaken(file: InputFile): file is StandardInput {
  return 'head' in file
}

/** Names the spool files of a file apart from those of any other. */
function spoolName(file: InputFile): string {
  return createHash('sha256').update(file.path).digest('hex').slice(0, 32)
}
