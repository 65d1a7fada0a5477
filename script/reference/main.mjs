/**
 * Keeps the generated parts of the documents equal to the tables that run: `script/docs`.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { parts } from './parts.mjs'

/** The documents with generated parts, and which parts must be in each. */
const PAGES = {
  'docs/steps.md': ['steps', 'step '],
  'docs/pipelines.md': ['source', 'source ', 'sink '],
}

const REGION = /<!-- generated: (?<name>[^\n]+?) -->\n[^]*?<!-- end -->/gu

/**
 * The text with every generated part written anew.
 *
 * @param {string} text
 * @param {string} page
 * @param {ReadonlyMap<string, string>} current
 */
function rewrite(text, page, current) {
  return text.replaceAll(REGION, (_all, name) => {
    const content = current.get(name)
    if (content === undefined) throw new Error(`${page}: nothing generates '${name}'`)
    return `<!-- generated: ${name} -->\n${content}\n<!-- end -->`
  })
}

const check = process.argv.includes('--check')
const current = parts()
const problems = []
for (const [page, wanted] of Object.entries(PAGES)) {
  const before = readFileSync(page, 'utf8')
  const names = new Set([...before.matchAll(REGION)].map((match) => match.groups?.['name']))
  for (const name of current.keys()) {
    const belongs = wanted.some((start) => (start.endsWith(' ') ? name.startsWith(start) : name === start))
    if (belongs && !names.has(name)) problems.push(`${page}: a part <!-- generated: ${name} --> is missing`)
  }
  const after = rewrite(before, page, current)
  if (after === before) continue
  if (check) problems.push(`${page} is not current: run script/docs`)
  else writeFileSync(page, after)
}
if (problems.length > 0) {
  process.stderr.write(`${problems.join('\n')}\n`)
  process.exitCode = 1
}
