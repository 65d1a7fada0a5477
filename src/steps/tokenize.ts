/**
 * Turns the column `text` into the column `tokens`.
 *
 * This file decides what is read, added and matched; the kernel `Tokenizer` does the work. Cutting token
 * sequences to a length is `pack.ts`, cutting texts is `chunk.ts`.
 */
import { existsSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { z } from 'zod'
import { GristmillError, nearest } from '../core/errors.js'
import type { Columns } from '../kernels/batch.js'
import { Tokenizer, knownEncodings } from '../kernels/tokenizer.js'
import type { TokenizeOptions, TokenizerLoadOptions } from '../kernels/tokenizer.js'
import { defineMapStep } from './step.js'

const Tokens = z.union([z.string(), z.array(z.string())])

const TokenizeConfig = z
  .strictObject({
    tokenizer: z
      .string()
      .describe(
        'tokenizer.json, tiktoken rank file, or encoder of the npm package tiktoken; relative to the pipeline file',
      ),
    append: Tokens.optional().describe('token or tokens put after each document, as in "<|endoftext|>"'),
    prepend: Tokens.optional().describe('token or tokens put before each document, as in "<s>"'),
    addSpecialTokens: z
      .boolean()
      .default(false)
      .describe("adds what the tokenizer's own post-processor adds around a document"),
    specialTokensInText: z
      .boolean()
      .default(false)
      .describe('replaces special tokens written out in a document by their id; off, they are text like any other'),
    keepText: z.boolean().default(false).describe('keeps the column text beside tokens'),
    reuse: z
      .boolean()
      .default(true)
      .describe('takes the ids of a text that came before from memory, up to 32 MiB in a process'),
    encoding: z
      .string()
      .optional()
      .describe('for a rank file: its published name, as in cl100k_base; told from the file name when left out'),
    pattern: z
      .string()
      .optional()
      .describe('for a rank file: its pre-tokenisation pattern, when it has no published name'),
    specialTokens: z
      .record(z.string(), z.int().min(0))
      .optional()
      .describe('for a rank file: special tokens and their ids, beside those of the encoding'),
  })
  .readonly()

export type TokenizeConfig = z.infer<typeof TokenizeConfig>

/** What a worker needs to tokenise. */
export interface TokenizePayload {
  /** Absolute path of the tokenizer file. */
  readonly path: string
  readonly contentHash: string
  readonly load: TokenizerLoadOptions
  readonly options: TokenizeOptions
  /** Highest id + 1; the sink chooses the width of ids by it. */
  readonly vocabularySize: number
}

export const tokenize = defineMapStep<TokenizeConfig, TokenizePayload>({
  name: 'tokenize',
  summary: 'turns the text of each document into token ids',
  example: '- tokenize: { tokenizer: ./tokenizer.json, append: "<|endoftext|>" }',
  config: TokenizeConfig,

  async prepare(config, { columns, baseFolder, place }) {
    const path = resolve(baseFolder, config.tokenizer)
    if (!existsSync(path)) {
      throw new GristmillError('GM_CONFIG', `${place}: there is no tokenizer file ${config.tokenizer}`, {
        hint: 'the path is relative to the pipeline file',
      })
    }
    const load = loadOptions(config)
    using tokenizer = Tokenizer.load(path, load)
    const options: TokenizeOptions = {
      addSpecialTokens: config.addSpecialTokens,
      specialTokensInText: config.specialTokensInText,
      prepend: tokenIds(tokenizer, config.prepend, `${place}.prepend`),
      append: tokenIds(tokenizer, config.append, `${place}.append`),
      keepText: config.keepText,
      reuse: config.reuse,
    }
    const { contentHash, vocabularySize } = tokenizer
    return {
      columns: columnsAfter(columns, config.keepText, place),
      identity: { checksum: contentHash, load, options, vocabularySize },
      payload: { path, contentHash, load, options, vocabularySize },
    }
  },

  open({ path, contentHash, load, options }) {
    const tokenizer = Tokenizer.load(path, load, contentHash)
    let reused = 0
    return {
      get reusedRows() {
        return reused
      },
      run(batch) {
        reused += tokenizer.apply(batch, options).reused
        return undefined
      },
      [Symbol.dispose]: () => tokenizer[Symbol.dispose](),
    }
  },
})

/** The options that go with the file; a rank file named like its encoding needs none. */
function loadOptions({ tokenizer, encoding, pattern, specialTokens }: TokenizeConfig): TokenizerLoadOptions {
  const stem = basename(tokenizer).replace(/\.tiktoken$/, '')
  const told = tokenizer.endsWith('.tiktoken') && pattern === undefined && knownEncodings().includes(stem)
  return { encoding: encoding ?? (told ? stem : undefined), pattern, specialTokens }
}

function tokenIds(tokenizer: Tokenizer, tokens: string | readonly string[] | undefined, place: string): number[] {
  const names = typeof tokens === 'string' ? [tokens] : (tokens ?? [])
  return names.map((name) => {
    const id = tokenizer.tokenId(name)
    if (id !== undefined) return id
    const added = tokenizer.addedTokens()
    const near = nearest(name, added)
    throw new GristmillError('GM_CONFIG', `${place}: the tokenizer has no token '${name}'`, {
      hint: near === undefined ? `its added tokens are ${listed(added)}` : `did you mean '${near}'?`,
    })
  })
}

/** At most ten names, so that a tokenizer with a thousand reserved tokens stays readable. */
function listed(names: readonly string[]): string {
  if (names.length === 0) return 'none'
  const shown = names.slice(0, 10).join(' ')
  return names.length > 10 ? `${shown} and ${names.length - 10} more` : shown
}

function columnsAfter(columns: Columns, keepText: boolean, place: string): Columns {
  const text = columns.find((column) => column.name === 'text')
  if (text === undefined || text.type !== 'string') {
    const problem = text === undefined ? 'there is no column text' : `the column text has type ${text.type}`
    throw new GristmillError(text === undefined ? 'GM_COLUMN_MISSING' : 'GM_COLUMN_TYPE', `${place}: ${problem}`)
  }
  const tokens = { name: 'tokens', type: 'tokens' } as const
  const others = columns.filter((column) => column.name !== 'tokens')
  return keepText ? [...others, tokens] : others.map((column) => (column.name === 'text' ? tokens : column))
}
