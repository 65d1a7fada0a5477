/**
 * The errors users see: one class, a registry of stable codes, each with a hint.
 *
 * Bad input is not an error but data: it goes to quarantine (see `engine/quarantine.ts`). What is thrown
 * here is what the caller must fix, or a broken invariant of ours. `docs/errors.md` lists the same codes;
 * a test keeps the two identical.
 */

/** Every code, with the exit status of the command line and the hint shown when the thrower gives none. */
export const ERROR_CODES = {
  GM_CONFIG: { exit: 2, hint: 'see `gristmill steps` for every step and option' },
  GM_USAGE: { exit: 2, hint: 'see `gristmill --help`' },
  GM_EXPRESSION: { exit: 2, hint: 'see docs/expressions.md for the language' },
  GM_COLUMN_MISSING: { exit: 2, hint: 'check `source.columns` and the names in the step' },
  GM_COLUMN_TYPE: { exit: 2, hint: 'state the type under `source.types`' },
  GM_INPUT_NONE: { exit: 2, hint: 'paths are relative to the pipeline file; quote globs in the shell' },
  GM_INPUT_CHANGED: { exit: 1, hint: 'an input changed while it was read; run again' },
  GM_TOKENIZER: { exit: 2, hint: 'pass a tokenizer.json or a tiktoken rank file' },
  GM_MODEL: { exit: 2, hint: 'pass a fastText classifier as fastText writes it, a .bin or .ftz file' },
  GM_RUN_LOCKED: { exit: 1, hint: 'another run works in this directory; wait for it or choose another --out' },
  GM_RUN_OTHER_CONFIG: { exit: 2, hint: 'choose another --out, or delete the directory' },
  GM_GUARD: { exit: 4, hint: 'run the same command with --allow STEP[:VALUE] if that is meant' },
  GM_ROW_MISSING: { exit: 2, hint: 'ids are compared exactly; a row without one is called FILE:POSITION' },
  GM_RUN_MISSING: { exit: 2, hint: 'pass the directory given to `gristmill run --out`' },
  GM_MEMORY_PLAN: { exit: 2, hint: 'raise --memory or lower --workers' },
  GM_DISK_FULL: { exit: 1, hint: 'free space or pass --scratch on another disk, then run the same command to resume' },
  GM_IO: { exit: 1, hint: 'check that the path exists and that you may read and write it' },
  GM_STORE: { exit: 1, hint: 'check the address, the credentials and the network' },
  GM_PEER_MISSING: { exit: 2, hint: 'install the optional package named above' },
  GM_FORMAT: { exit: 1, hint: 'the file is damaged or not of the stated format' },
  GM_SCHEMA: { exit: 2, hint: 'give the files one schema, or select `source.columns` that agree' },
  GM_SHARD_CHECKSUM: {
    exit: 1,
    hint: 'the file is damaged; restore it from a copy, or run into another --out: the bytes will be the same',
  },
  GM_VERIFY: { exit: 1, hint: 'restore the files from a copy, or run into another --out' },
  GM_FEED_STATE: { exit: 2, hint: 'open the loader as it was when the state was saved, or start anew without it' },
  GM_FEED_BUFFERS: { exit: 1, hint: 'let go of batches, copy what you keep, or raise `buffers`' },
  GM_FEEDER: { exit: 1, hint: 'open the loader again and load the last state' },
  GM_USER_FUNCTION: { exit: 1, hint: 'the function of your pipeline module threw; the cause names the row' },
  GM_USER_MODULE: { exit: 2, hint: 'the module must `export default` a pipeline' },
  GM_FIT: { exit: 1, hint: 'choose another way for the column, or treat such values in a step before' },
  GM_CATEGORY: { exit: 1, hint: 'fit the step on data that has the category, or set unknown: ignore' },
  GM_DISPOSED: { exit: 1, hint: 'keep it open until you are done with it and its views' },
  GM_INTERRUPTED: { exit: 130, hint: 'run the same command to resume' },
  GM_PANIC: { exit: 1, hint: 'this is a bug of ours; please report it with the message' },
  GM_INTERNAL: { exit: 1, hint: 'this is a bug of ours; please report it with the message' },
} as const satisfies Record<string, { exit: number; hint: string }>

export type ErrorCode = keyof typeof ERROR_CODES

const BRAND = Symbol.for('gristmill.error')

export interface ErrorDetails {
  /** What to try; replaces the registry's hint. */
  hint?: string
  cause?: unknown
}

/**
 * Any failure Gristmill reports on purpose.
 *
 * `instanceof` works across two copies of the package.
 */
export class GristmillError extends Error {
  readonly code: ErrorCode
  readonly hint: string
  readonly [BRAND] = true

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'GristmillError'
    this.code = code
    this.hint = details.hint ?? ERROR_CODES[code].hint
  }

  /** The command line's exit status for this error. */
  get exitCode(): number {
    return ERROR_CODES[this.code].exit
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && BRAND in value
  }
}

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERROR_CODES, value)
}

/** Turns an operating system error into ours; `doing` says what was done to what, as in "write runs/a". */
export function ioError(doing: string, cause: unknown): GristmillError {
  if (cause instanceof GristmillError) return cause
  const { code, message } = cause as NodeJS.ErrnoException
  const full = code === 'ENOSPC' || code === 'EDQUOT'
  return new GristmillError(full ? 'GM_DISK_FULL' : 'GM_IO', `cannot ${doing}: ${message}`, { cause })
}

/** The nearest of `candidates` to a mistyped `word`, or undefined when none is near. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance]
  }
  return best
}

/** Edits (insert, delete, replace, swap of neighbours) between two words: optimal string alignment. */
function editDistance(a: string, b: string): number {
  const rows = Array.from({ length: a.length + 1 }, (_, i) => [i, ...Array<number>(b.length).fill(0)])
  const at = (i: number, j: number): number => rows[i]?.[j] ?? 0
  for (let j = 0; j <= b.length; j++) rows[0]![j] = j
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const replace = at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      let best = Math.min(replace, at(i - 1, j) + 1, at(i, j - 1) + 1)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) best = Math.min(best, at(i - 2, j - 2) + 1)
      rows[i]![j] = best
    }
  }
  return at(a.length, b.length)
}
