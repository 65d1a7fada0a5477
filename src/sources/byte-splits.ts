/**
 * Cuts files into splits: from paths and sizes alone where it can, so that ten thousand files plan in no time.
 *
 * - Small files are put together in order, up to 64 MiB a split. A group also ends early before a path that
 *   its hash picks, so that a new file disturbs only the groups near it and resumed runs keep the others.
 * - Large plain files are cut into byte ranges where records can be found from any byte.
 * - Large compressed files are cut at frames where there are several, else one reader walks them.
 */
import type { InputFile, Piece, PlanContext, SequentialFile, Split } from './source.js'
import { pathHash } from '../kernels/readers.js'
import { type Compression, compressionOfMagic, MAGIC_BYTES, splitName } from './compression.js'
import { takeStandardInput } from './standard-input.js'
import { frameSplits } from './zstd-splits.js'

const MIB = 1 << 20

/** Decompressed bytes of a split. */
export const SPLIT_BYTES = 64 * MIB
/** A group of small files with this much may end early. */
const EARLY_BYTES = 16 * MIB
/** One path in so many ends a group early. */
const EARLY_EVERY = 16
/** Compressed files below this are read whole. */
const WHOLE_COMPRESSED_BYTES = 8 * MIB
/** Estimate of decompressed over stored bytes. */
const EXPANSION = 4
/** A last range smaller than this joins the one before. */
const SMALL_RANGE_BYTES = 16 * MIB

/**
 * How a format's records can be found.
 *
 * - `anywhere`: from any byte on, by looking forward.
 * - `in-order`: only by walking the file from its start.
 * - `one`: the file is one record.
 */
export type Records = 'anywhere' | 'in-order' | 'one'

export interface SplitRule {
  readonly records: Records
  /** Ranges start at multiples of this. */
  readonly alignBytes: number
}

export async function planSplits(
  files: readonly InputFile[],
  rule: SplitRule,
  context: PlanContext,
): Promise<(Split | SequentialFile)[]> {
  const out: (Split | SequentialFile)[] = []
  const group = new Group(out)
  for (const file of files) {
    context.signal.throwIfAborted()
    const named = splitName(file.path).compression
    if (isSmall(file, named, rule)) {
      group.add(file, estimate(file, named))
      continue
    }
    group.close()
    out.push(...(await planLarge(file, named, rule, context)))
  }
  group.close()
  return out
}

/** Decompressed bytes of a file, estimated. */
export function estimate(file: InputFile, compression: Compression): number {
  return compression === 'none' ? file.size : file.size * EXPANSION
}

function isSmall(file: InputFile, compression: Compression, rule: SplitRule): boolean {
  if (file.url === '-') return false
  if (rule.records === 'one') return true
  return compression === 'none' ? file.size <= SPLIT_BYTES : file.size < WHOLE_COMPRESSED_BYTES
}

async function planLarge(
  file: InputFile,
  named: Compression,
  rule: SplitRule,
  context: PlanContext,
): Promise<(Split | SequentialFile)[]> {
  if (file.url === '-') {
    return [{ kind: 'sequential', file: await takeStandardInput(file, context.signal), bytes: 0 }]
  }
  const compression = named === 'none' ? await look(file, context) : named
  if (compression === 'none' && rule.records === 'anywhere') return byteRanges(file, rule)
  // Frames are cut anywhere, so their records must be found from anywhere; stretches must start aligned.
  const framed = compression === 'zstd' && rule.records === 'anywhere' && rule.alignBytes === 1
  const frames = framed ? await frameSplits(file, SPLIT_BYTES, context) : undefined
  return frames ?? [{ kind: 'sequential', file, bytes: estimate(file, compression) }]
}

async function look(file: InputFile, context: PlanContext): Promise<Compression> {
  const { store, key } = await context.stores.locate(file.url)
  return compressionOfMagic(await store.read(key, 0, MAGIC_BYTES))
}

/** Byte ranges of a plain file, a split each. */
export function byteRanges(file: InputFile, { alignBytes }: SplitRule): Split[] {
  const step = Math.ceil(SPLIT_BYTES / alignBytes) * alignBytes
  const splits: Split[] = []
  for (let from = 0; from < file.size;) {
    const to = file.size - from - step < SMALL_RANGE_BYTES ? file.size : from + step
    splits.push({ kind: 'split', pieces: [{ file, range: { kind: 'bytes', from, to } }], bytes: to - from })
    from = to
  }
  return splits
}

/** A file with its bytes of rows, about, and the splits it was cut into, if it was. */
export interface CutFile {
  readonly file: InputFile
  readonly bytes: number
  readonly cut?: readonly Split[] | undefined
}

/** Splits in the order of the files: files that were not cut are grouped. */
export function groupSplits(files: Iterable<CutFile>): Split[] {
  const splits: Split[] = []
  const group = new Group(splits)
  for (const { file, bytes, cut } of files) {
    if (cut === undefined) {
      group.add(file, bytes)
    } else {
      group.close()
      splits.push(...cut)
    }
  }
  group.close()
  return splits
}

/** Small files on their way into one split. */
class Group {
  readonly #out: (Split | SequentialFile)[]
  #pieces: Piece[] = []
  #bytes = 0

  constructor(out: (Split | SequentialFile)[]) {
    this.#out = out
  }

  add(file: InputFile, bytes: number): void {
    const full = this.#bytes + bytes > SPLIT_BYTES
    if (full || (this.#bytes >= EARLY_BYTES && pathHash(file.path) % EARLY_EVERY === 0)) this.close()
    this.#pieces.push({ file, range: { kind: 'whole' } })
    this.#bytes += bytes
  }

  close(): void {
    if (this.#pieces.length === 0) return
    this.#out.push({ kind: 'split', pieces: this.#pieces, bytes: this.#bytes })
    this.#pieces = []
    this.#bytes = 0
  }
}
