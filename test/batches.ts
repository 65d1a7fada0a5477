/**
 * Batches for tests, made from plain rows.
 */
import { Dictionary, Table, Uint32, Utf8, tableToIPC, vectorFromArray } from 'apache-arrow'
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
