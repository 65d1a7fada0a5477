/** The first rows of a run whose sink writes rows: its shards, read as any input is. */
import { posix } from 'node:path'
import { GristmillError } from '../core/errors.js'
import { lookContext, wholeSplit } from '../engine/look.js'
import type { Manifest } from '../engine/manifest.js'
import { openStores } from '../io/stores.js'
import type { ByteStore } from '../io/store.js'
import type { Batch, Columns } from '../kernels/batch.js'
import { RowReader } from '../kernels/rows.js'
import { formatOfPath } from '../sources/index.js'
import type { InputFile, SourceFormat, SourceOptions } from '../sources/source.js'

const CHUNK_BYTES = 256 << 10
const MAX_RECORD_BYTES = 256 << 20

/** What reading a file for a look needs: its defects are shown by other commands. */
const OPTIONS: SourceOptions = {
  text: 'text',
  id: 'id',
  columns: undefined,
  types: {},
  onMissing: 'empty',
  maxRecordBytes: MAX_RECORD_BYTES,
  format: {},
}

/** The first `count` rows of a run's shards, in order. */
export async function* firstRows(store: ByteStore, manifest: Manifest, count: number): AsyncGenerator<object> {
  let missing = count
  for (const { files } of manifest.shards) {
    for (const { name, bytes } of files) {
      if (missing <= 0) return
      const format = formatOfPath(name)
      if (format === undefined) throw new GristmillError('GM_FORMAT', `${name} has no format that can be shown`)
      const url = store.localFolder === undefined ? `${store.url}/${name}` : posix.join(store.localFolder, name)
      const file: InputFile = { path: name, url, size: bytes, fingerprint: '' }
      for await (const { batch, columns } of readStart(format, file, OPTIONS)) {
        using reader = new RowReader(batch, columns)
        for (let row = 0; row < batch.rows && missing > 0; row++, missing--) yield plain(reader.row(row))
        if (missing <= 0) return
      }
    }
  }
}

/** Batches from the start of a file; stop when you have seen enough. */
export async function* readStart(
  format: SourceFormat,
  file: InputFile,
  options: SourceOptions,
): AsyncGenerator<{ batch: Batch; columns: Columns }> {
  const stores = openStores()
  const context = lookContext(stores, CHUNK_BYTES)
  try {
    const columns = await format.columns([file], options, context)
    const planned = await format.plan([file], options, context)
    const splits = planned.map((split) => (split.kind === 'split' ? split : wholeSplit(file)))
    for (const split of splits) {
      for await (const batch of format.read(split, columns, options, undefined, context)) {
        using owned = batch
        yield { batch: owned, columns }
      }
    }
  } finally {
    stores.close()
  }
}

/** A row as JSON takes it. */
function plain(row: object): object {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, jsonValue(value)]))
}

function jsonValue(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString()
  return ArrayBuffer.isView(value) ? [...(value as Uint32Array)] : value
}
