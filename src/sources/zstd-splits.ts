/**
 * Cuts a zstd file of several frames into splits of whole frames.
 *
 * Local files are scanned by their block headers. Files elsewhere need a seek table: a request a block would
 * cost more than reading the file.
 */
import {
  SEEK_TABLE_FOOTER_BYTES,
  type ZstdFrame,
  zstdFrames,
  zstdSeekTable,
  zstdSeekTableLength,
} from '../kernels/cutter.js'
import type { InputFile, PlanContext, Split } from './source.js'

/** A file with a longer frame is walked by one reader instead, so that its parts can be worked on at once. */
const MOST_FRAME_BYTES = 256 << 20

/** Splits of about `splitBytes`; undefined when the file must be walked. */
export async function frameSplits(
  file: InputFile,
  splitBytes: number,
  context: PlanContext,
): Promise<Split[] | undefined> {
  const { store, key } = await context.stores.locate(file.url)
  const frames =
    store.localFolder === undefined
      ? await listedFrames(file, (from, to) => store.read(key, from, to))
      : zstdFrames(file.url, MOST_FRAME_BYTES)
  if (frames === undefined || frames.length < 2) return undefined
  const splits = groupFrames(file, frames, splitBytes)
  return splits.length < 2 ? undefined : splits
}

/** The frames in groups of about `splitBytes` decompressed bytes. */
export function groupFrames(file: InputFile, frames: readonly ZstdFrame[], splitBytes: number): Split[] {
  const splits: Split[] = []
  let from = 0
  let to = 0
  let storedFrom = frames[0]?.storedFrom ?? 0
  for (const [index, frame] of frames.entries()) {
    to += frame.bytes
    const next = frames[index + 1]
    if (to === from || (next !== undefined && to - from < splitBytes)) continue
    splits.push({
      kind: 'split',
      pieces: [{ file, range: { kind: 'frames', from, to, storedFrom } }],
      bytes: to - from,
    })
    from = to
    storedFrom = next?.storedFrom ?? 0
  }
  return splits
}

async function listedFrames(
  file: InputFile,
  read: (from: number, to: number) => Promise<Uint8Array>,
): Promise<ZstdFrame[] | undefined> {
  if (file.size < SEEK_TABLE_FOOTER_BYTES) return undefined
  const length = zstdSeekTableLength(await read(file.size - SEEK_TABLE_FOOTER_BYTES, file.size))
  if (length === undefined || length > file.size) return undefined
  return zstdSeekTable(await read(file.size - length, file.size), file.size, MOST_FRAME_BYTES)
}
