/**
 * Finds items of benchmarks in documents by shared n-grams, and removes the documents or cuts the items out.
 *
 * Words, n-grams and cuts are those of GPT-3 (Brown et al. 2020, arXiv:2005.14165, appendix C); the kernel's
 * documentation says where we differ. Benchmarks are files of the user's; nothing is downloaded.
 */
import { z } from 'zod'
import { GristmillError } from '../core/errors.js'
import { listInputs } from '../io/inputs.js'
import { openStores } from '../io/stores.js'
import { type Benchmarks, ContaminationIndex, type CutOptions } from '../kernels/contamination.js'
import { findColumn, withColumns } from './columns.js'
import { defineMapStep } from './step.js'

const EXTENSIONS = ['.jsonl', '.jsonl.gz', '.jsonl.zst', '.parquet']
/** Brown et al. 2020, appendix C. */
const GPT3 = { ngram: 13, around: 200, leastCharacters: 200, mostPieces: 10 }
/** Columns that `mode: annotate` adds, as the kernel names them. */
const ANNOTATIONS = [
  { name: 'contamination', type: 'float64' },
  { name: 'contamination_item', type: 'string' },
  { name: 'contamination_ngram', type: 'string' },
] as const
/** Items named in a warning. */
const SHOWN = 5

const DecontaminateConfig = z
  .strictObject({
    against: z
      .array(z.string())
      .min(1)
      .describe('benchmark files, folders or globs: JSON Lines, plain, .gz or .zst, or Parquet'),
    fields: z
      .array(z.string())
      .min(1)
      .describe('fields of a benchmark whose texts make an item, as in [question, answer]; lists are joined'),
    ngram: z.int().min(1).max(100).default(GPT3.ngram).describe('words of an n-gram'),
    threshold: z
      .number()
      .min(0)
      .max(1)
      .default(0)
      .describe("a document is contaminated that holds more than this share of an item's n-grams, 0 to 1"),
    action: z
      .enum(['remove', 'cut'])
      .default('remove')
      .describe('`remove` removes the document, `cut` the n-grams with the characters around them'),
    around: z.int().min(0).default(GPT3.around).describe('characters cut on either side of an n-gram'),
    leastCharacters: z
      .int()
      .min(0)
      .default(GPT3.leastCharacters)
      .describe('pieces of a cut document with fewer characters are dropped'),
    mostPieces: z.int().min(1).default(GPT3.mostPieces).describe('a document that is cut into more pieces is removed'),
    mode: z
      .enum(['annotate', 'remove'])
      .default('remove')
      .describe('`annotate` sets the columns contamination, contamination_item and contamination_ngram only'),
    column: z.string().default('text').describe('column to read'),
  })
  .readonly()

export type DecontaminateConfig = z.infer<typeof DecontaminateConfig>

export interface DecontaminatePayload {
  readonly benchmarks: Benchmarks
  readonly contentHash: string
  readonly action: 'annotate' | 'cut' | 'remove'
  readonly column: string
  readonly threshold: number
  readonly cut: CutOptions
}

export const decontaminate = defineMapStep<DecontaminateConfig, DecontaminatePayload>({
  name: 'decontaminate',
  summary: 'removes documents that hold items of benchmarks, or cuts the items out',
  example: '- decontaminate: { against: ["evals/*.jsonl"], fields: [question], ngram: 13, action: remove }',
  config: DecontaminateConfig,

  async prepare(config, { columns, baseFolder, place }) {
    const { against, fields, ngram, threshold, action, around, leastCharacters, mostPieces, mode, column } = config
    const { type } = findColumn(columns, column, place)
    if (type !== 'string') {
      throw new GristmillError('GM_COLUMN_TYPE', `${place}: column '${column}' is ${type}, not text`)
    }
    if (threshold === 1 && mode === 'remove') {
      throw new GristmillError('GM_CONFIG', `${place}: with a threshold of 1 no document is contaminated`, {
        hint: 'a document is contaminated that holds more than this share of an item; 0.99 asks for nearly all of it',
      })
    }
    const benchmarks = { files: await findBenchmarks(against, baseFolder, place), fields, ngram }
    using index = ContaminationIndex.load(benchmarks)
    if (index.items === 0) {
      throw new GristmillError('GM_CONFIG', `${place}: no item of the benchmarks has enough words`, {
        hint: 'an item needs 8 words, or `ngram` where that is less; name more `fields`',
      })
    }
    const { contentHash } = index
    return {
      columns: mode === 'annotate' ? withColumns(columns, ANNOTATIONS) : columns,
      identity: { checksum: contentHash },
      warnings: warnings(index, place),
      payload: {
        benchmarks,
        contentHash,
        action: mode === 'annotate' ? mode : action,
        column,
        threshold,
        cut: { threshold, around, leastCharacters, mostPieces },
      },
    }
  },

  open({ benchmarks, contentHash, action, column, threshold, cut }, { removed, edits, step }) {
    const index = ContaminationIndex.load(benchmarks, contentHash)
    return {
      run(batch) {
        if (action === 'annotate') index.annotate(batch, column)
        else if (action === 'cut') index.cut(batch, { edits, removed, step }, column, cut)
        else index.remove(batch, removed, step, column, threshold)
        return undefined
      },
      [Symbol.dispose]: () => index[Symbol.dispose](),
    }
  },
})

async function findBenchmarks(
  against: readonly string[],
  baseFolder: string,
  place: string,
): Promise<Benchmarks['files']> {
  const remote = against.find((path) => path === '-' || path.includes('://'))
  if (remote !== undefined) {
    throw new GristmillError('GM_CONFIG', `${place}.against: '${remote}' is no local file`, {
      hint: 'benchmarks are read from local files; download it first',
    })
  }
  const stores = openStores()
  try {
    const files = await listInputs(against, baseFolder, EXTENSIONS, stores)
    return files.map(({ path, url }) => ({ path: url, name: path }))
  } finally {
    stores.close()
  }
}

function warnings(index: ContaminationIndex, place: string): string[] {
  const { unusable, items } = index
  if (unusable.length === 0) return []
  const named = unusable.slice(0, SHOWN).map(({ file, row, words }) => `${file} row ${row} (${words} words)`)
  if (unusable.length > SHOWN) named.push(`and ${unusable.length - SHOWN} more`)
  const share = `${unusable.length} of ${items + unusable.length} items`
  return [`${place}: ${share} are too short to be found: ${named.join(', ')}`]
}
