/**
 * JSON Lines: one JSON object a line, plain or compressed with gzip or zstd.
 *
 * A line is a record, so a plain file can be read from any byte on. The grammar and what is rejected are
 * in crates/kernels/src/formats/jsonl; docs/quarantine.md lists the codes.
 */
import { z } from 'zod'
import { defineRecordSource } from './record-source.js'

export const jsonl = defineRecordSource({
  name: 'jsonl',
  extensions: ['.jsonl', '.ndjson'],
  options: z.strictObject({}),
  splitRule: () => ({ records: 'anywhere', alignBytes: 1 }),
  native: () => ({ format: 'jsonl' }),
  hasColumns: true,
})
