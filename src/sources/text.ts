/**
 * Plain text: a document a file, a line, a paragraph, or a stretch of so many bytes.
 *
 * Text has no columns but the document, and no ids.
 */
import { z } from 'zod'
import type { SplitRule } from './byte-splits.js'
import { defineRecordSource } from './record-source.js'

const KIB = 1 << 10

const options = z.strictObject({
  unit: z
    .enum(['file', 'line', 'paragraph', 'bytes'])
    .default('file')
    .describe('what a document is: the file, a line, a paragraph that ends at a blank line, or chunkBytes of the file'),
  chunkBytes: z
    .int()
    .min(64 * KIB)
    .max(256 * KIB)
    .default(128 * KIB)
    .describe('length of a document with unit: bytes; up to three bytes more where a character would be cut'),
})

export const text = defineRecordSource({
  name: 'text',
  extensions: ['.txt', '.md', '.text'],
  options,
  splitRule: ({ format }): SplitRule => {
    const { unit, chunkBytes } = options.parse(format)
    if (unit === 'line') return { records: 'anywhere', alignBytes: 1 }
    if (unit === 'bytes') return { records: 'anywhere', alignBytes: chunkBytes }
    return { records: unit === 'file' ? 'one' : 'in-order', alignBytes: 1 }
  },
  native: ({ format }) => ({ format: 'text', ...options.parse(format) }),
  hasColumns: false,
})
