/** The text of the pipeline file that `init` writes: runs as it is, and says what else there is. */
import { formatBytes, formatCount } from '../core/units.js'
import type { FoundData } from './look-at-data.js'

export function renderPipelineFile(found: FoundData): string {
  return [
    `# Written by gristmill init: ${formatCount(found.files)} ${found.format} ${found.files === 1 ? 'file' : 'files'}, ${formatBytes(found.bytes)}.`,
    '# `gristmill steps` lists every step, source and sink; `gristmill steps NAME` their options.',
    '',
    `name: ${yaml(found.name)}`,
    '',
    ...source(found),
    '',
    ...steps(found),
    '',
    ...sink(found),
    '',
  ].join('\n')
}

/** Documents that were tokenised elsewhere. */
export function areTokens({ columns }: Pick<FoundData, 'columns'>): boolean {
  return columns.some(({ type }) => type === 'tokens')
}

function source({ format, paths, text, textBytes, id, columns }: FoundData): string[] {
  const tokens = areTokens({ columns })
  const others = columns.filter(({ type }) => type !== 'tokens')
  const named = others.filter(({ name }) => name !== 'text')
  // A column called text that is not the document would collide with it, so the rest is listed.
  const mustList = named.length < others.length
  const list = `columns: [${named.map(({ name }) => yaml(name)).join(', ')}]`
  const measured = textBytes === undefined ? '' : `, ${formatBytes(textBytes)} a document in the sample`
  const types = named.map(({ name, type }) => `${name} ${type}`).join(', ')
  return [
    'source:',
    `  format: ${format}`,
    '  # Files, folders and globs, relative to this file.',
    ...(paths.length === 1
      ? [`  paths: [${yaml(paths[0] ?? '')}]`]
      : ['  paths:', ...paths.map((path) => `    - ${yaml(path)}`)]),
    ...(tokens
      ? ['  # The documents are token ids, in the column tokens.']
      : [`  # The column that holds the document${measured}.`, `  text: ${yaml(text)}`]),
    ...(id === undefined
      ? ['  # No column `id` was found: a row is identified by its file and position.', '  # id: id']
      : [`  id: ${id}`]),
    ...(named.length > 0 ? [`  # Other columns: ${types}. All are kept unless they are listed:`] : []),
    ...(mustList
      ? ['  # The files have a column `text` besides; it would collide with the document and is left out.', `  ${list}`]
      : named.length > 0
        ? [`  # ${list}`]
        : []),
    ...(tokens ? [] : ['  # Rows to read at all:', '  # where: "length(text) > 0"']),
    '  # More bad records than this share end the run with exit code 3:',
    '  # maxBadShare: 0.01',
  ]
}

function steps({ tokenizer, columns }: FoundData): string[] {
  const shuffle = ['  # A global shuffle; the same seed gives the same order.', '  - shuffle: { seed: 42 }']
  const pack = [
    '  # Documents to sequences of a fixed length, without cutting anything off.',
    '  - pack: { length: 2048, strategy: best-fit }',
  ]
  if (areTokens({ columns })) return ['steps:', ...shuffle, ...pack]
  const end = tokenizer?.end === undefined ? '' : `, append: ${yaml(tokenizer.end)}`
  const vocabulary = tokenizer === undefined ? '' : `, ${formatCount(tokenizer.vocabularySize)} tokens`
  const tokens =
    tokenizer === undefined
      ? [
          '  # For token shards, put a tokenizer.json beside this file, take the # off these lines',
          '  # and set the sink below to megatron:',
          '  # - tokenize: { tokenizer: ./tokenizer.json, append: "<|endoftext|>" }',
          '  # - pack: { length: 2048, strategy: best-fit }',
        ]
      : [`  # Text to token ids${vocabulary}.`, `  - tokenize: { tokenizer: ${yaml(tokenizer.path)}${end} }`, ...pack]
  return [
    'steps:',
    '  # One form for equal characters, HTML entities resolved, control characters out.',
    '  - normalize: { unicode: NFC, whitespace: true, controls: strip, html: unescape }',
    '  # Code points; what is removed is recorded in removed/.',
    '  - filter: "length(text) >= 64"',
    '  # The first of equal documents stays.',
    '  - exact-dedup: { on: text, keep: first }',
    ...shuffle,
    ...tokens,
  ]
}

function sink({ tokenizer, columns }: FoundData): string[] {
  return [
    'sink:',
    tokenizer === undefined && !areTokens({ columns })
      ? '  format: parquet # megatron | parquet | jsonl | arrow'
      : '  format: megatron # megatron | parquet | jsonl | arrow',
  ]
}

/** A YAML string: bare where that is safe, else in double quotes, whose escapes are JSON's. */
function yaml(text: string): string {
  const bare = /^[A-Za-z_][\w./-]*$/.test(text) && !/^(true|false|null|yes|no|on|off|y|n)$/i.test(text)
  return bare ? text : JSON.stringify(text)
}
