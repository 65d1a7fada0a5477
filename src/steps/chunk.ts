/**
 * Cuts each row into several: its text by characters (Unicode code points), or its tokens.
 *
 * Piece k of the row `x` has the id `x#k`, k in the column `chunk`, and the row's value in every other column;
 * file and position stay the row's. Pieces cover the document: without overlap they are the document when
 * put together again. An empty document is one empty piece.
 *
 * By characters with `boundary: space`, a piece ends after the last white space of its second half, if there
 * is any; so pieces have between half of `size` and `size` characters, but for the last. By tokens, pieces are
 * exactly `size` long but for the last, and a text that was kept beside the tokens is dropped, since it would
 * no longer be theirs.
 */
import { z } from 'zod'
import { GristmillError } from '../core/errors.js'
import type { Columns } from '../kernels/batch.js'
import { type ChunkSize, chunkCharacters, chunkTokens } from '../kernels/text.js'
import { checkText, withColumns } from './columns.js'
import { defineMapStep } from './step.js'

const ChunkConfig = z
  .strictObject({
    by: z.enum(['characters', 'tokens']).default('characters').describe('unit of size and overlap'),
    size: z.int().min(1).max(0xffff_ffff).describe('characters or tokens of a piece at most'),
    overlap: z.int().min(0).default(0).describe('characters or tokens that a piece shares with the one before'),
    boundary: z
      .enum(['space', 'none'])
      .default('space')
      .describe('by characters: cut after white space where there is any near, or exactly at size'),
  })
  .refine(({ size, overlap }) => overlap < size, { error: 'must be smaller than size', path: ['overlap'] })
  .readonly()

export type ChunkConfig = z.infer<typeof ChunkConfig>

export type ChunkPayload =
  | { readonly by: 'characters'; readonly size: ChunkSize; readonly atSpaces: boolean }
  | { readonly by: 'tokens'; readonly size: ChunkSize }

export const chunk = defineMapStep<ChunkConfig, ChunkPayload>({
  name: 'chunk',
  summary: 'cuts each document into pieces of at most so many characters or tokens',
  example: '- chunk: { by: characters, size: 2000, overlap: 200 }',
  config: ChunkConfig,

  async prepare({ by, size: length, overlap, boundary }, { columns, place }) {
    const has = (name: string): boolean => columns.some((column) => column.name === name)
    const size = { size: length, overlap }
    if (by === 'tokens') {
      if (!has('tokens')) {
        throw new GristmillError('GM_COLUMN_MISSING', `${place}: there are no tokens to cut`, {
          hint: 'put the step after tokenize, or cut by characters',
        })
      }
      const cut = numbered(columns.filter(({ name }) => name !== 'text'))
      return { columns: cut, identity: null, payload: { by, size } }
    }
    if (!has('text') || has('tokens')) {
      throw new GristmillError('GM_CONFIG', `${place}: the text is tokenized already`, {
        hint: 'put the step before tokenize, or say `by: tokens`',
      })
    }
    checkText('text', { columns, place })
    return { columns: numbered(columns), identity: null, payload: { by, size, atSpaces: boundary === 'space' } }
  },

  open: (payload) => ({
    run: (batch) =>
      payload.by === 'tokens'
        ? chunkTokens(batch, 'tokens', payload.size, ['text'])
        : chunkCharacters(batch, payload.size, payload.atSpaces),
    [Symbol.dispose]() {},
  }),
})

/** The column `chunk` comes last, also where one was there before. */
function numbered(columns: Columns): Columns {
  return withColumns(
    columns.filter(({ name }) => name !== 'chunk'),
    [{ name: 'chunk', type: 'int64' }],
  )
}
