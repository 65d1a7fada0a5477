/**
 * Memory stays under the budget, and native batches are all freed at the end.
 */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { command, isBalanced, manifestOf, pipelineFile, runWell, testFolder } from './command.js'
import { jsonLines, place, wordTokenizer } from './corpora.js'

const FACADE = new URL('../dist/index.js', import.meta.url).href
const BATCH = new URL('../dist/kernels/batch.js', import.meta.url).href

const MIB = 2 ** 20

test('200 MB through every kind of stage with --memory 512MiB peak at 700 MiB at most', async () => {
  const root = testFolder('memory')
  for (const seed of [1, 2]) place(join(root, `in/${seed}.jsonl`), jsonLines({ seed, bytes: 90 * MIB, length: 3000 }))
  // Books: single documents of many MB.
  place(join(root, 'in/books.jsonl'), jsonLines({ seed: 3, bytes: 20 * MIB, length: 4_000_000, duplicates: 0 }))
  wordTokenizer(root)
  const file = pipelineFile(root, {
    source: { paths: ['in'] },
    steps: [
      'exact-dedup',
      { shuffle: { seed: 1 } },
      { tokenize: { tokenizer: './tokenizer.json' } },
      { pack: { length: 1024 } },
    ],
    sink: { format: 'megatron' },
  })
  const out = join(root, 'out')
  const args = ['--workers', '2', '--memory', '512MiB']
  const { stderr } = await runWell(file, out, args, { under: ['/usr/bin/time', '-f', 'peak-kib=%M'] })
  const peakBytes = Number(/peak-kib=(\d+)/u.exec(stderr)![1]) * 1024
  expect(isBalanced(manifestOf(out))).toBe(true)
  expect(peakBytes / MIB).toBeLessThan(700)
}, 240_000)

test('no native batch outlives a run, finished or failed', async () => {
  const root = testFolder('leak')
  place(join(root, 'in/a.jsonl'), jsonLines({ seed: 1, bytes: 5 * MIB }))
  const steps = ['exact-dedup', 'shuffle', { filter: 'length(text) > 1500' }]
  const good = pipelineFile(root, { source: { paths: ['in'] }, steps, sink: { format: 'jsonl' } })
  const program = place(
    join(root, 'program.mjs'),
    `import { loadPipeline, runPipeline } from ${JSON.stringify(FACADE)}
import { liveBatchBytes } from ${JSON.stringify(BATCH)}
const out = ${JSON.stringify(join(root, 'out'))}
const stop = new AbortController()
const failed = await runPipeline(await loadPipeline(${JSON.stringify(good)}), {
  out: out + '-stopped',
  workers: 2,
  signal: stop.signal,
  onEvent: (event) => event.event === 'progress' && stop.abort(),
}).then(() => 'ended', (error) => error.code)
await runPipeline(await loadPipeline(${JSON.stringify(good)}), { out, workers: 2 })
console.log(JSON.stringify({ failed, live: liveBatchBytes() }))
`,
  )
  const { stdout, stderr, code } = await command([process.execPath, program])
  expect(code, stderr).toBe(0)
  expect(JSON.parse(stdout)).toEqual({ failed: 'GM_INTERRUPTED', live: 0 })
})
