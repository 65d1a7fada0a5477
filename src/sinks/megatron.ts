/**
 * The `megatron` sink: token ids in `.bin`, where each document lies in `.idx`, what each document was in
 * `.docs.parquet`.
 *
 * A shard ends with the document that brings its `.bin` to 256 MiB. Ids are u16 when the vocabulary has
 * fewer than 65,500, else i32. Packing is an index beside the shards; see `steps/pack.ts`.
 */
import { z } from 'zod'
import type { NativeMegatronWriter } from '../../native/index.js'
import { GristmillError } from '../core/errors.js'
import type { Batch } from '../kernels/batch.js'
import { addon, native } from '../kernels/native.js'
import type { SinkFormat, SinkWriter, WrittenShard } from './sink.js'

/** The size assumed of a vocabulary that is not known: ids that came with the input are written as i32. */
const UNKNOWN_VOCABULARY = 2 ** 31 - 1

export const megatron: SinkFormat = {
  name: 'megatron',
  summary: 'token ids as Megatron-LM reads them, with a table of the documents beside each shard',
  options: z.strictObject({}),

  check(columns) {
    const tokens = columns.find((column) => column.name === 'tokens')
    if (tokens?.type === 'tokens') return
    const problem = tokens === undefined ? 'there are none' : `the column tokens has type ${tokens.type}`
    throw new GristmillError('GM_CONFIG', `the sink megatron writes token ids, and ${problem}`, {
      hint: 'add a step `tokenize`',
    })
  },

  open(_options, { folder, baseName, vocabularySize }) {
    return new MegatronSinkWriter(
      native(() => new addon.NativeMegatronWriter(folder, baseName, vocabularySize ?? UNKNOWN_VOCABULARY)),
    )
  },
}

class MegatronSinkWriter implements SinkWriter {
  readonly #writer: NativeMegatronWriter

  constructor(writer: NativeMegatronWriter) {
    this.#writer = writer
  }

  write(batch: Batch): void {
    native(() => this.#writer.write(batch.handle))
  }

  finish(): WrittenShard[] {
    const shards = native(() => this.#writer.finish())
    return shards.map(({ rows, tokens, files }) => ({
      rows,
      tokens,
      files: files.map(({ suffix, file }) => ({ ...file, suffix })),
    }))
  }

  [Symbol.dispose](): void {
    this.#writer.dispose()
  }
}
