/**
 * CSV and TSV: delimiter-separated values with quotes as in RFC 4180, plain or compressed.
 *
 * A line end inside quotes does not end a record, so a large file is walked from its start to find them.
 * The grammar is in crates/kernels/src/formats/csv_read; docs/quarantine.md lists the codes.
 */
import { z } from 'zod'
import { defineRecordSource } from './record-source.js'
import type { SourceFormat } from './source.js'

const byte = z.string().regex(/^[\x01-\x7f]$/, 'must be one ASCII character')
const lineEnd = (value: string): boolean => value !== '\n' && value !== '\r'

function optionsWith(delimiter: string) {
  return z
    .strictObject({
      delimiter: byte.default(delimiter).describe('character between fields'),
      quote: byte.nullable().default('"').describe('character around fields; null when quotes mean nothing'),
      header: z.boolean().default(true).describe('whether the first record names the columns; else c0, c1, …'),
    })
    .refine(({ delimiter: between, quote }) => between !== quote, 'delimiter and quote must differ')
    .refine(({ delimiter: between, quote }) => lineEnd(between) && lineEnd(quote ?? ''), 'a line end ends the record')
}

function defineDelimited(name: string, extensions: readonly string[], delimiter: string): SourceFormat {
  const schema = optionsWith(delimiter)
  return defineRecordSource({
    name,
    extensions,
    options: schema,
    splitRule: () => ({ records: 'in-order', alignBytes: 1 }),
    native: ({ format }) => ({ format: 'csv', ...schema.parse(format) }),
    hasColumns: true,
  })
}

export const csv = defineDelimited('csv', ['.csv'], ',')
export const tsv = defineDelimited('tsv', ['.tsv', '.tab'], '\t')
