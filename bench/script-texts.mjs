/**
 * Texts of one script a file, for `scenarios/scripts.py`. Latin and Han are prose of the corpus. For scripts the corpus
 * does not hold, texts are composed of what Node's own locale data (CLDR) has in a language of the script: names of
 * regions, languages and currencies, in a fixed order that looks random, as sentences and paragraphs. Their words are
 * real and their repetition is not, so that rates are those of the script, not of a corpus.
 *
 * script-texts.mjs CORPUS.jsonl FOLDER: writes FOLDER/SCRIPT.jsonl.
 */
import { createReadStream, mkdirSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

const BYTES = 4_000_000
const DOCUMENT_BYTES = 3_000
/** Script, language, whether words are written apart, and what ends a sentence. */
const COMPOSED = [
  ['Cyrillic', 'ru', true, '.'],
  ['Arabic', 'ar', true, '.'],
  ['Devanagari', 'hi', true, '।'],
  ['Hangul', 'ko', true, '.'],
  ['Japanese', 'ja', false, '。'],
  ['Thai', 'th', false, ' '],
  ['Lao', 'lo', false, ' '],
  ['Khmer', 'km', false, '។'],
]

const [corpus, folder] = process.argv.slice(2)
if (folder === undefined) throw new Error('usage: script-texts.mjs CORPUS.jsonl FOLDER')
mkdirSync(folder, { recursive: true })
const found = { Latin: { lang: 'en', rows: [], bytes: 0 }, Han: { lang: 'zh', rows: [], bytes: 0 } }
for await (const line of createInterface({ input: createReadStream(corpus) })) {
  const row = JSON.parse(line)
  for (const texts of Object.values(found)) {
    if (row.lang !== texts.lang || row.source === 'python-docs' || texts.bytes >= BYTES) continue
    texts.rows.push({ text: row.text, lang: row.lang })
    texts.bytes += Buffer.byteLength(row.text)
  }
}
for (const [script, { rows }] of Object.entries(found)) write(script, rows)
for (const [script, lang, apart, end] of COMPOSED) write(script, compose(lang, apart, end))

function write(script, rows) {
  writeFileSync(`${folder}/${script}.jsonl`, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
}

function compose(lang, apart, end) {
  const names = namesIn(lang)
  const next = numbers()
  const rows = []
  for (let bytes = 0; bytes < BYTES;) {
    let text = ''
    while (Buffer.byteLength(text) < DOCUMENT_BYTES) {
      const words = Array.from({ length: 4 + next(9) }, () => names[next(names.length)])
      text += words.join(apart ? ' ' : '') + end + (next(5) === 0 ? '\n' : apart ? ' ' : '')
    }
    rows.push({ text, lang })
    bytes += Buffer.byteLength(text)
  }
  return rows
}

/** Names without a Latin letter or digit, which would be another script. */
function namesIn(lang) {
  const names = new Set()
  const letters = Array.from({ length: 26 }, (_, at) => String.fromCodePoint(97 + at))
  const pairs = letters.flatMap((first) => letters.map((second) => first + second))
  const kinds = {
    region: pairs.map((code) => code.toUpperCase()),
    language: pairs,
    currency: Intl.supportedValuesOf('currency'),
  }
  for (const [type, codes] of Object.entries(kinds)) {
    const display = new Intl.DisplayNames([lang], { type, fallback: 'none' })
    for (const code of codes) {
      const name = display.of(code)
      if (name !== undefined && !/[\p{Script=Latin}\d]/u.test(name)) names.add(name)
    }
  }
  return [...names]
}

/** Marsaglia's xorshift: the same numbers everywhere. */
function numbers() {
  let state = 2463534242
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}
