/**
 * Going on with a run: after Ctrl-C, when it is finished already, and when its inputs have grown.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import {
  type Ended,
  gristmill,
  isBalanced,
  manifestOf,
  outputsOf,
  pipelineFile,
  runWell,
  testFolder,
} from './command.js'
import { jsonLines, manyTasks, place, storedGzip, wordTokenizer } from './corpora.js'

/** Runs, and sends a signal once the first task is committed. */
async function interruptAtFirstCommit(file: string, out: string, signal: NodeJS.Signals): Promise<Ended> {
  return gristmill(['run', file, '--out', out, '--workers', '1'], {
    onStart: (child) => {
      const watch = async (): Promise<void> => {
        while (child.exitCode === null && !existsSync(join(out, 'commits'))) await sleep(1)
        child.kill(signal)
      }
      void watch()
    },
  })
}

test.each(['SIGINT', 'SIGTERM'] as const)(
  '%s ends a run with 130 and a hint; the same command goes on',
  async (signal) => {
    const root = testFolder('resume')
    manyTasks(root, 5)
    const file = pipelineFile(root, { source: { paths: ['data'] }, steps: ['exact-dedup'], sink: { format: 'jsonl' } })
    const [out, whole] = [join(root, 'stopped'), join(root, 'whole')]
    const stopped = await interruptAtFirstCommit(file, out, signal)
    expect(stopped).toMatchObject({ code: 130, signal: null })
    expect(stopped.stderr).toContain('GM_INTERRUPTED')
    expect(stopped.stderr).toContain(`gristmill run ${file} --out ${out} --workers 1`)
    expect(existsSync(join(out, 'manifest.json'))).toBe(false)
    expect(existsSync(join(out, 'shards'))).toBe(false)

    await runWell(file, out)
    await runWell(file, whole)
    expect(outputsOf(out)).toEqual(outputsOf(whole))
    const [first, second] = manifestOf(out).attempts
    expect(first).toMatchObject({ outcome: 'interrupted' })
    expect(first!.tasksRun).toBeGreaterThan(0)
    expect(second).toMatchObject({ outcome: 'done', tasksSkipped: first!.tasksRun })
    expect(first!.tasksRun + second!.tasksRun).toBe(manifestOf(whole).attempts[0]!.tasksRun)
  },
)

test('a finished run has nothing to do', async () => {
  const root = testFolder('resume')
  manyTasks(root, 2)
  const file = pipelineFile(root, { source: { paths: ['data'] }, steps: ['exact-dedup'], sink: { format: 'parquet' } })
  const out = join(root, 'out')
  await runWell(file, out)
  const before = outputsOf(out)
  await runWell(file, out)
  expect(outputsOf(out)).toEqual(before)
  const { attempts } = manifestOf(out)
  expect(attempts).toHaveLength(2)
  expect(attempts[1]).toMatchObject({ outcome: 'done', tasksRun: 0, tasksSkipped: attempts[0]!.tasksRun })
})

const tokenized = [{ tokenize: { tokenizer: './tokenizer.json' } }, { pack: { length: 300 } }]
const appended = [
  ['tokenize and pack', tokenized, 'megatron', 'data/zzz.jsonl.gz'],
  ['exact-dedup, the new file last', ['exact-dedup', ...tokenized], 'megatron', 'data/zzz.jsonl.gz'],
  // Its rows come before all others, so that rows kept before become duplicates of the new ones.
  ['exact-dedup, the new file first', ['exact-dedup'], 'jsonl', 'data/000.jsonl.gz'],
  ['shuffle', ['exact-dedup', { shuffle: { seed: 3 } }, ...tokenized], 'megatron', 'data/000.jsonl.gz'],
] as const

test.each(appended)(
  'an input more: %s',
  async (_what, steps, format, name) => {
    const root = testFolder('append')
    manyTasks(root, 3)
    wordTokenizer(root)
    const file = pipelineFile(root, { source: { paths: ['data'] }, steps, sink: { format } })
    const [out, fresh] = [join(root, 'grown'), join(root, 'fresh')]
    await runWell(file, out)
    place(join(root, name), storedGzip(jsonLines({ seed: 77, bytes: 2 ** 20, duplicates: 0.5 })))
    await runWell(file, out)
    await runWell(file, fresh)
    expect(outputsOf(out)).toEqual(outputsOf(fresh))
    const manifest = manifestOf(out)
    expect(isBalanced(manifest)).toBe(true)
    expect(manifest.totals).toEqual(manifestOf(fresh).totals)
    expect(manifest.inputs).toEqual(manifestOf(fresh).inputs)
    expect(manifest.attempts[1]!.tasksSkipped).toBeGreaterThan(0)
  },
  120_000,
)

test('an input that changed is read again, and one that went is forgotten', async () => {
  const root = testFolder('change')
  const [first = '', second = ''] = manyTasks(root, 3)
  const file = pipelineFile(root, { source: { paths: ['data'] }, steps: ['exact-dedup'], sink: { format: 'jsonl' } })
  const [out, fresh] = [join(root, 'changed'), join(root, 'fresh')]
  await runWell(file, out)
  place(join(root, first), storedGzip(jsonLines({ seed: 50, bytes: 2 ** 20 })))
  rmSync(join(root, second))
  await runWell(file, out)
  await runWell(file, fresh)
  expect(outputsOf(out)).toEqual(outputsOf(fresh))
  expect(manifestOf(out).totals).toEqual(manifestOf(fresh).totals)
})

/** A finished run of two stages with a packing. */
async function finishedRun(): Promise<{ file: string; out: string; outputs: Record<string, string>; tasks: number }> {
  const root = testFolder('heal')
  manyTasks(root, 3)
  wordTokenizer(root)
  const steps = ['exact-dedup', { shuffle: { seed: 3 } }, ...tokenized]
  const file = pipelineFile(root, { source: { paths: ['data'] }, steps, sink: { format: 'megatron' } })
  const out = join(root, 'out')
  await runWell(file, out)
  return { file, out, outputs: outputsOf(out), tasks: manifestOf(out).attempts[0]!.tasksRun }
}

test('files deleted from a finished run are written again by the same command', async () => {
  const { file, out, outputs } = await finishedRun()
  for (const name of [
    'shards/00000.bin',
    'shards/00000.docs.parquet',
    'removed/00000.parquet',
    'packs/300/pieces.npy',
  ]) {
    rmSync(join(out, name))
    await runWell(file, out)
    expect(outputsOf(out), name).toEqual(outputs)
  }
  expect(await gristmill(['verify', out])).toMatchObject({ code: 0 })
})

test('after a restart of the machine files are trusted by their checksums alone', async () => {
  const { file, out, outputs, tasks } = await finishedRun()
  // Records of another start of the machine: what they name may never have reached the disk.
  for (const name of [
    ...readdirSync(join(out, 'commits')).map((commit) => `commits/${commit}`),
    'work/finished.json',
  ]) {
    const record = JSON.parse(readFileSync(join(out, name), 'utf8')) as object
    writeFileSync(join(out, name), JSON.stringify({ ...record, boot: 'another start' }))
  }
  const finished = join(out, 'work/finished.json')
  const before = readFileSync(finished, 'utf8')
  await runWell(file, out)
  expect(manifestOf(out).attempts.at(-1)).toMatchObject({ tasksRun: 0, tasksSkipped: tasks })

  writeFileSync(finished, before)
  const shard = join(out, 'shards/00000.bin')
  const bytes = readFileSync(shard)
  bytes[bytes.length >> 1]! ^= 1
  writeFileSync(shard, bytes)
  await runWell(file, out)
  expect(outputsOf(out)).toEqual(outputs)
  expect(manifestOf(out).attempts.at(-1)!.tasksRun).toBeGreaterThan(0)
})

test('what a process left that was killed just before its end is deleted by the next one', async () => {
  const { file, out } = await finishedRun()
  const left = place(join(out, 'work/spill/left.spill'), 'rows')
  await runWell(file, out)
  expect(existsSync(left)).toBe(false)
})
