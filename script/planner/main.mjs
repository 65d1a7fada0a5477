/**
 * Writes published measurements as lines that `gristmill plan score` reads: `script/planner-tables`.
 */
import { readFileSync, existsSync } from 'node:fs'
import path from 'node:path'
import { TABLES } from './tables.mjs'

const USAGE = 'script/planner-tables FOLDER > FILE.jsonl'

/**
 * Rows of a CSV file; fields may be quoted.
 *
 * @param {string} file
 * @returns {Record<string, string>[]}
 */
function readCsv(file) {
  const lines = readFileSync(file, 'utf8').trim().split(/\r?\n/u)
  const fields = (/** @type {string} */ line) =>
    [...line.matchAll(/(?:^|,)(?:"([^"]*)"|([^,]*))/gu)].map((match) => match[1] ?? match[2] ?? '')
  const names = fields(lines[0] ?? '')
  return lines.slice(1).map((line) => Object.fromEntries(fields(line).map((value, at) => [names[at], value])))
}

const folder = process.argv[2]
if (folder === undefined) {
  process.stderr.write(`${USAGE}\n`)
  process.exit(2)
}
for (const [name, convert] of Object.entries(TABLES)) {
  const file = path.join(folder, `${name}.csv`)
  if (!existsSync(file)) {
    process.stderr.write(`${name}.csv is not in ${folder}: skipped\n`)
    continue
  }
  let number = 1
  for (const row of readCsv(file)) {
    number += 1
    const lines = [convert(row) ?? []].flat()
    for (const [at, line] of lines.entries()) {
      const id = lines.length > 1 ? `${name}:${number}${'ab'[at]}` : `${name}:${number}`
      process.stdout.write(`${JSON.stringify({ id, table: name, ...line })}\n`)
    }
  }
}
