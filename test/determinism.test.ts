/**
 * The same inputs and configuration give the same bytes: whatever the workers, the memory budget, the folder
 * and the order in which tasks end.
 */
import { readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { isBalanced, manifestOf, outputsOf, pipelineFile, runWell, testFolder } from './command.js'
import { jsonLines, manyTasks, place, storedGzip, wordTokenizer } from './corpora.js'
import { zstdStream } from './zstd.js'

const tokens = [
  'exact-dedup',
  { shuffle: { seed: 42 } },
  { tokenize: { tokenizer: './tokenizer.json', append: '<|endoftext|>' } },
  { pack: { length: 512 } },
]

/** Runs in every way that must not matter, and compares each with the first. */
async function checkSame(root: string, file: string): Promise<void> {
  const out = (name: string): string => join(root, 'runs', name)
  await runWell(file, out('one'), ['--workers', '1', '--memory', '512MiB'])
  const expected = outputsOf(out('one'))
  expect(Object.keys(expected).length).toBeGreaterThan(0)
  expect(isBalanced(manifestOf(out('one')))).toBe(true)
  await runWell(file, out('two'), ['--workers', '2', '--memory', '512MiB'])
  expect(outputsOf(out('two'))).toEqual(expected)
  await runWell(file, out('seven'), ['--workers', '7', '--memory', '2GiB', '--scratch', join(root, 'scratch')])
  expect(outputsOf(out('seven'))).toEqual(expected)
  expect(readdirSync(join(root, 'scratch'))).toEqual([])
  const moved = `${root}-moved`
  renameSync(root, moved)
  try {
    await runWell(file.replace(root, moved), join(moved, 'runs', 'moved'), ['--workers', '2', '--memory', '2GiB'])
    expect(outputsOf(join(moved, 'runs', 'moved'))).toEqual(expected)
  } finally {
    renameSync(moved, root)
  }
}

test('deduplicated, shuffled, tokenised and packed: many files', async () => {
  const root = testFolder('determinism')
  manyTasks(root, 6)
  wordTokenizer(root)
  const file = pipelineFile(root, {
    source: { paths: ['data/**/*.jsonl.gz'] },
    steps: tokens,
    sink: { format: 'megatron' },
  })
  await checkSame(root, file)
  const { totals, shards } = manifestOf(join(root, 'runs', 'one'))
  expect(totals.removed).toBeGreaterThan(0)
  expect(shards.length).toBeGreaterThan(1)
})

test('near-duplicates removed, then shuffled: many files', async () => {
  const root = testFolder('determinism')
  manyTasks(root, 6, { duplicates: 0.3 })
  const steps = [{ 'minhash-dedup': { keep: 'longest', threshold: 0.7 } }, { shuffle: { seed: 1 } }]
  const file = pipelineFile(root, { source: { paths: ['data/**/*.jsonl.gz'] }, steps, sink: { format: 'jsonl' } })
  await checkSame(root, file)
  const { totals, attempts } = manifestOf(join(root, 'runs', 'one'))
  expect(totals.removed).toBeGreaterThan(totals.rowsIn * 0.2)
  expect(attempts[0]?.tasksRun).toBeGreaterThan(14) // six files, twice; three rounds and the sets
})

test('rows to Parquet, plain files with a predicate and a filter', async () => {
  const root = testFolder('determinism')
  for (const seed of [1, 2, 3]) place(join(root, `in/${seed}.jsonl`), jsonLines({ seed, bytes: 12 * 2 ** 20 }))
  const file = pipelineFile(root, {
    source: { paths: ['in'], where: 'score >= 100' },
    steps: [{ filter: { expr: "lang = 'de' and length(text) >= 1500", guard: 'off' } }, 'exact-dedup'],
    sink: { format: 'parquet' },
  })
  await checkSame(root, file)
})

test('single streams of gzip and zstd, cut while they are decompressed', async () => {
  const root = testFolder('determinism')
  const text = jsonLines({ seed: 5, bytes: 100 * 2 ** 20, length: 4000 })
  place(join(root, 'in/a.jsonl.gz'), gzipSync(text, { level: 1 }))
  place(join(root, 'in/b.jsonl.zst'), zstdStream(text.subarray(0, text.indexOf(10, 80 * 2 ** 20) + 1)))
  place(join(root, 'in/c.jsonl.gz'), storedGzip(jsonLines({ seed: 6, bytes: 2 ** 20 })))
  wordTokenizer(root)
  const steps = tokens.filter((step) => typeof step === 'string' || !('shuffle' in step))
  const file = pipelineFile(root, { source: { paths: ['in'] }, steps, sink: { format: 'megatron' } })
  await checkSame(root, file)
  const { totals, attempts } = manifestOf(join(root, 'runs', 'one'))
  expect(totals.removed).toBeGreaterThan(totals.rowsIn * 0.4) // b repeats a
  expect(attempts[0]?.tasksRun).toBeGreaterThan(10) // two cuts each and c, twice; a decision; a packing window
}, 240_000)
