/**
 * Speed of published filters on one core, on texts in memory: the steps as a worker runs them, without the engine
 * around them. `mode: annotate`, so that every measure of every document is taken. Needs `script/setup` first.
 *
 * filters.mjs CORPUS.jsonl LANG STEP [STEP …]: LANG is `all` or a language; with a language, manuals are left out.
 * Prints one JSON object: bytes, seconds of the fastest of three passes.
 */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { batchFromRows } from '../dist/kernels/columns.js'
import { addon } from '../dist/kernels/native.js'
import { steps } from '../dist/steps/index.js'

const PASSES = 3
/** Rows of a batch, about as many as a chunk of input holds. */
const ROWS = 1024
const COLUMNS = [{ name: 'text', type: 'string' }]

const [corpus, lang, ...names] = process.argv.slice(2)
if (names.length === 0) throw new Error('usage: filters.mjs CORPUS.jsonl LANG STEP [STEP …]')

const rows = []
let bytes = 0
for await (const line of createInterface({ input: createReadStream(corpus) })) {
  const row = JSON.parse(line)
  if (lang !== 'all' && (row.lang !== lang || row.source === 'python-docs')) continue
  bytes += Buffer.byteLength(row.text)
  rows.push({ text: row.text })
}

const context = { removed: new addon.NativeRemovedLog(), edits: new addon.NativeEdits(), userFunction: () => () => 0 }
const runners = []
let columns = COLUMNS
for (const name of names) {
  const step = steps.get(name)
  const config = step.config.parse({ mode: 'annotate' })
  const prepared = await step.prepare(config, { columns, baseFolder: process.cwd(), place: name })
  columns = prepared.columns
  runners.push(step.open(prepared.payload, { ...context, step: name }))
}

let seconds = Infinity
for (let pass = 0; pass < PASSES; pass += 1) {
  let milliseconds = 0
  for (let from = 0; from < rows.length; from += ROWS) {
    const batch = batchFromRows(rows.slice(from, from + ROWS), COLUMNS)
    const start = performance.now()
    for (const runner of runners) runner.run(batch)
    milliseconds += performance.now() - start
    batch.dispose()
  }
  seconds = Math.min(seconds, milliseconds / 1000)
}
console.log(JSON.stringify({ bytes, seconds, documents: rows.length }))
