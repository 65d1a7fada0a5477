/** Checksums of finished files, computed as their writers did; and what a Parquet footer counts. */
import type { NativeFinishedFile } from '../../native/index.js'
import { addon, native } from './native.js'

/** Bytes of a block, each of which has a checksum of its own. */
export const BLOCK_BYTES = 1 << 20

/** The checksums of a stream; cuts between chunks do not matter. `name` is passed through as the path. */
export async function hashBlocks(
  name: string,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<NativeFinishedFile> {
  const hasher = native(() => new addon.NativeBlockHasher())
  for await (const chunk of chunks) native(() => hasher.update(chunk))
  return native(() => hasher.finish(name))
}

/** Rows of a Parquet file, from the encoded metadata of its footer (what lies before the last 8 bytes). */
export function parquetFooterRows(metadata: Uint8Array): number {
  return native(() => addon.parquetFooterRows(metadata))
}
