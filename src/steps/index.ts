/**
 * The table of all steps: one import and one entry each, in the order `gristmill steps` shows.
 */
import { badWords } from './bad-words.js'
import { c4Quality } from './c4-quality.js'
import { chunk } from './chunk.js'
import { classify } from './classify.js'
import { decontaminate } from './decontaminate.js'
import { drop } from './drop.js'
import { encode } from './encode.js'
import { exactDedup } from './exact-dedup.js'
import { filter } from './filter.js'
import { language } from './language.js'
import { finewebQuality } from './fineweb-quality.js'
import { gopherQuality } from './gopher-quality.js'
import { gopherRepetition } from './gopher-repetition.js'
import { lineFilter } from './line-filter.js'
import { map } from './map.js'
import { minhashDedup } from './minhash-dedup.js'
import { missing } from './missing.js'
import { normalize } from './normalize.js'
import { pack } from './pack.js'
import { pii } from './pii.js'
import { rename } from './rename.js'
import { sample } from './sample.js'
import { scale } from './scale.js'
import { select } from './select.js'
import { shuffle } from './shuffle.js'
import { stats } from './stats.js'
import type { AnyStep } from './step.js'
import { tokenize } from './tokenize.js'
import { urlFilter } from './url-filter.js'

const TABLE = [
  normalize,
  filter,
  map,
  select,
  rename,
  drop,
  missing,
  scale,
  encode,
  language,
  classify,
  pii,
  decontaminate,
  exactDedup,
  minhashDedup,
  urlFilter,
  gopherRepetition,
  gopherQuality,
  c4Quality,
  finewebQuality,
  lineFilter,
  badWords,
  stats,
  sample,
  shuffle,
  chunk,
  tokenize,
  pack,
]

/** Steps by the name they have in a pipeline file. */
export const steps: ReadonlyMap<string, AnyStep> = new Map(
  // A step's types are its own business: the engine hands a step only what that step prepared.
  TABLE.map((step) => [step.name, step as unknown as AnyStep]),
)
