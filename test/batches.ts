/**
 * Batches for tests, made from plain rows.
 */
import { Dictionary, Field, List, Table, Uint32, Utf8, tableToIPC, vectorFromArray } from 'apache-arrow'
import { Batch } from '../src/kernels/batch.js'

/** A row as a test writes it: its id and its string columns. */
export type TestRow = { readonly id: string } & Readonly<Record<string, string | null>>

/** A batch of rows that come from one file, in order. */
export function batchOf(rows: readonly TestRow[], file = 'rows.jsonl'): Batch {
  const names = Object.keys(rows[0] ?? { text: '' }).filter((name) => name !== 'id')
  const positions = BigUint64Array.from(rows, (_, i) => BigInt(i))
  const table = new Table({
    __file: vectorFromArray(
      rows.map(() => file),
      new Dictionary(new Utf8(), new Uint32()),
    ),
    __position: vectorFromArray(positions),
    id: vectorFromArray(
      rows.map((row) => row.id),
      new Utf8(),
    ),
    ...Object.fromEntries(
      names.map((name) => [
        name,
        vectorFromArray(
          rows.map((row) => row[name] ?? null),
          new Utf8(),
        ),
      ]),
    ),
  })
  return Batch.fromIpc(tableToIPC(table, 'stream'))
}

/** A batch of documents that are token ids already; the first is row `first` of its file. */
export function tokenBatch(documents: readonly (readonly number[])[], first = 0): Batch {
  const ids = new List(new Field('item', new Uint32(), false))
  const table = new Table({
    __file: vectorFromArray(
      documents.map(() => 'rows.jsonl'),
      new Dictionary(new Utf8(), new Uint32()),
    ),
    __position: vectorFromArray(BigUint64Array.from(documents, (_, i) => BigInt(first + i))),
    id: vectorFromArray(
      documents.map((_, i) => String(first + i)),
      new Utf8(),
    ),
    tokens: vectorFromArray(documents, ids),
  })
  return Batch.fromIpc(tableToIPC(table, 'stream'))
}
