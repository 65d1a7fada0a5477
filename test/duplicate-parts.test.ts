/**
 * `exact-dedup` by line and by paragraph, against a loop over all rows.
 */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { gristmill, manifestOf, outputsOf, pipelineFile, runWell, testFolder } from './command.js'
import { place, random, taskNames } from './corpora.js'
import { decidedIn, type Document } from './near-duplicates.js'

/** A text's lines, or its lines up to and with empty ones. */
function partsOf(text: string, by: 'line' | 'paragraph'): string[] {
  const lines = text.split(/(?<=\n)/u)
  if (by === 'line') return lines
  const parts: string[] = []
  for (const [at, line] of lines.entries()) {
    const begins = line.trim() !== '' && lines[at - 1]?.trim() === '' && parts.at(-1)?.trim() !== ''
    if (parts.length === 0 || begins) parts.push(line)
    else parts.push(parts.pop()! + line)
  }
  return parts
}

/** What a loop over all texts leaves; undefined where nothing is left. */
function expected(texts: readonly string[], by: 'line' | 'paragraph'): (string | undefined)[] {
  const seen = new Set<string>()
  return texts.map((text) => {
    const parts = partsOf(text, by)
    const stays = parts.map((part) => part.trim() === '' || (!seen.has(part.trim()) && seen.add(part.trim()) === seen))
    if (stays.every(Boolean)) return text
    const left = parts.filter((_, at) => stays[at]).join('')
    return left.trim() === '' ? undefined : stays.at(-1) ? left : left.replace(/\n+$/u, '')
  })
}

/** Pages with lines of their own, of a few templates, and empty ones. */
function pages(count: number): Document[] {
  const next = random(8)
  const line = (): string => {
    const kind = next()
    if (kind < 0.25) return `template ${Math.floor(next() ** 3 * 500)}`
    return kind < 0.4 ? '' : `  own ${Math.floor(next() * 1e9)} 磨`
  }
  return Array.from({ length: count }, (_, n) => ({
    id: `${n}`,
    text: Array.from({ length: Math.floor(next() * 12) }, line).join('\n'),
  }))
}

test.each(['line', 'paragraph'] as const)('by %s: what stood earlier in the corpus is cut', async (by) => {
  const root = testFolder('parts')
  const documents = pages(6000)
  const files = taskNames('data', 3, '.jsonl').toSorted()
  for (const [at, name] of files.entries()) {
    const own = documents.slice(at * 2000, (at + 1) * 2000)
    place(join(root, name), own.map((document) => `${JSON.stringify(document)}\n`).join(''))
  }
  const steps = [{ 'exact-dedup': { by } }]
  const sink = { format: 'jsonl', compression: 'none' }
  const file = pipelineFile(root, { source: { paths: ['data'] }, steps, sink })
  const out = join(root, 'out')
  await runWell(file, out, ['--workers', '1'])
  await runWell(file, join(root, 'again'), ['--workers', '3'])
  expect(outputsOf(join(root, 'again'))).toEqual(outputsOf(out))
  expect((await gristmill(['verify', out])).code).toBe(0)

  const left = expected(
    documents.map(({ text }) => text),
    by,
  )
  const { kept, removed } = decidedIn(out)
  const wanted = documents.flatMap(({ id }, at) => (left[at] === undefined ? [] : [{ id, text: left[at] }]))
  expect(kept.map(({ id, text }) => ({ id, text }))).toEqual(wanted)
  expect(removed.map(({ id, step, rule }) => [id, step, rule])).toEqual(
    documents.filter((_, at) => left[at] === undefined).map(({ id }) => [id, 'exact-dedup', 'emptied']),
  )
  expect(removed.length).toBeGreaterThan(10)
  expect(manifestOf(out).indexes).toEqual([])
})

test('short lines stay, what is simplified is compared simplified, and a shuffle may follow', async () => {
  const root = testFolder('parts')
  const texts = ['}\nRead more!\nfirst', '}\nread MORE\nsecond', '}\nRead more\n\n']
  const rows = texts.map((text, n) => ({ id: `${n}`, text }))
  place(join(root, 'in/a.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  const steps = [{ 'exact-dedup': { by: 'line', normalize: 'datatrove', minCharacters: 4 } }, { shuffle: { seed: 1 } }]
  const sink = { format: 'jsonl', compression: 'none' }
  await runWell(pipelineFile(root, { source: { paths: ['in'] }, steps, sink }), join(root, 'out'))
  const { kept } = decidedIn(join(root, 'out'))
  const text = Object.fromEntries(kept.map(({ id, text: left }) => [id, left]))
  expect(text).toEqual({ 0: '}\nRead more!\nfirst', 1: '}\nsecond', 2: '}\n\n' })
})

test('options that exclude each other are refused', async () => {
  const root = testFolder('parts')
  place(join(root, 'in/a.jsonl'), '{"text":"a","score":1}\n')
  const refused = async (options: object, message: RegExp): Promise<void> => {
    const pipeline = { source: { paths: ['in'] }, steps: [{ 'exact-dedup': options }], sink: { format: 'jsonl' } }
    await expect(runWell(pipelineFile(root, pipeline), join(root, 'out'))).rejects.toThrow(message)
  }
  await refused({ by: 'line', keep: 'last' }, /keep.*by: line always keeps the first/su)
  await refused({ by: 'line', on: ['text', 'id'] }, /on.*by: line looks at one column/su)
  await refused({ by: 'paragraph', normalize: 'url' }, /normalize.*none or datatrove/su)
  await refused({ by: 'line', against: ['../other'] }, /against.*use by: row/su)
  await refused({ minCharacters: 5 }, /minCharacters.*by: line and by: paragraph/su)
  await refused({ by: 'line', on: 'score' }, /GM_COLUMN_TYPE.*'score' is int64/su)
})
