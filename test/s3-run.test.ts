/**
 * A run from and to a real S3 server gives what the same run gives locally, killed or not.
 */
import { createHash } from 'node:crypto'
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { gristmill, manifestOf, outputsOf, pipelineFile, runWell, testFolder } from './command.js'
import { manyTasks, wordTokenizer } from './corpora.js'
import { startS3 } from './servers/s3.js'

const steps = [
  'exact-dedup',
  { shuffle: { seed: 5 } },
  { stats: { ngrams: [1, 2] } },
  { tokenize: { tokenizer: './tokenizer.json' } },
  { pack: { length: 256 } },
]

test('s3 to s3, undisturbed and killed at three points: the same bytes, and the totals of the local run', async () => {
  const root = testFolder('s3-run')
  manyTasks(root, 4)
  wordTokenizer(root)
  const local = pipelineFile(root, { source: { paths: ['data'] }, steps, sink: { format: 'megatron' } }, 'local.yaml')
  await runWell(local, join(root, 'local'))

  await using server = await startS3()
  await server.createBucket('corpus')
  cpSync(join(root, 'data'), join(server.folder, 'corpus/data'), { recursive: true })
  const source = { paths: ['s3://corpus/data/'] }
  const remote = pipelineFile(root, { source, steps, sink: { format: 'megatron' } }, 'remote.yaml')
  // Keys and lock files stay there.
  const options = { env: { ...server.env, TMPDIR: testFolder('temporary') } }
  await runWell(remote, 's3://corpus/runs/whole', [], options)
  const whole = join(server.folder, 'corpus/runs/whole')
  expect(manifestOf(whole).totals).toEqual(manifestOf(join(root, 'local')).totals)

  const against = [{ 'exact-dedup': { against: ['s3://corpus/runs/whole'], guard: 'off' } }]
  const again = pipelineFile(root, { source, steps: against, sink: { format: 'jsonl' } }, 'again.yaml')
  await runWell(again, join(root, 'again'), [], options)
  expect(manifestOf(join(root, 'again')).totals.rowsOut).toBe(0)

  for (const [name, folder, pattern] of [
    ['first', 'commits', /^s0-/u],
    ['second', 'commits', /^s1-/u],
    ['publishing', 'shards', /./u],
  ] as const) {
    const out = join(server.folder, 'corpus/runs', name)
    const scratch = join(root, 'scratch')
    const args = ['run', remote, '--out', `s3://corpus/runs/${name}`, '--scratch', scratch]
    const killed = await gristmill(args, {
      ...options,
      onStart: (child) => {
        const watch = async (): Promise<void> => {
          const at = join(out, folder)
          while (child.exitCode === null && !(existsSync(at) && readdirSync(at).some((key) => pattern.test(key))))
            await sleep(1)
          child.kill('SIGKILL')
        }
        void watch()
      },
    })
    expect(killed.signal, killed.stderr).toBe('SIGKILL')
    const resumed = await gristmill(args, options)
    expect(resumed.code, resumed.stderr).toBe(0)
    expect(outputsOf(out)).toEqual(outputsOf(whole))
    const { attempts } = manifestOf(out)
    expect(attempts.reduce((sum, attempt) => sum + attempt.tasksRun, 0)).toBe(manifestOf(whole).attempts[0]!.tasksRun)
  }
  const verified = await gristmill(['verify', 's3://corpus/runs/publishing'], options)
  expect(verified.code, verified.stderr).toBe(0)
}, 240_000)

test('s3 inputs give the rows of local ones, s3 output the bytes of local output', async () => {
  const root = testFolder('s3-mixed')
  manyTasks(root, 2)
  wordTokenizer(root)
  await using server = await startS3()
  await server.createBucket('corpus')
  cpSync(join(root, 'data'), join(server.folder, 'corpus/data'), { recursive: true })
  const temporary = testFolder('temporary')
  const options = { env: { ...server.env, TMPDIR: temporary } }

  const sink = { format: 'jsonl', compression: 'none' }
  const here = pipelineFile(root, { source: { paths: ['data'] }, sink }, 'here.yaml')
  const there = pipelineFile(root, { source: { paths: ['s3://corpus/data/'] }, sink }, 'there.yaml')
  await runWell(here, join(root, 'here'))
  await runWell(there, join(root, 'there'), [], options)
  // Paths are part of the rows and decide how files are grouped into tasks; all else and the order are the same.
  expect(linesOf(join(root, 'there'))).toEqual(linesOf(join(root, 'here')))
  await runWell(there, 's3://corpus/there', [], options)
  expect(readdirSync(temporary).filter((name) => !name.endsWith('.lock'))).toEqual([])

  const packed = pipelineFile(root, { source: { paths: ['data'] }, steps, sink: { format: 'megatron' } }, 'packed.yaml')
  await runWell(packed, join(root, 'packed'))
  await runWell(packed, 's3://corpus/packed', [], options)
  expect(outputsOf(join(server.folder, 'corpus/packed'))).toEqual(outputsOf(join(root, 'packed')))
}, 120_000)

/** A hash of all rows in order, less the address in their path, and their number. */
function linesOf(out: string): { readonly hash: string; readonly lines: number } {
  const shards = readdirSync(join(out, 'shards')).toSorted()
  const bytes = Buffer.concat(shards.map((name) => readFileSync(join(out, 'shards', name))))
  const rows = bytes.toString().replaceAll('"file":"s3://corpus/', '"file":"')
  return { hash: createHash('sha256').update(rows).digest('hex'), lines: rows.split('\n').length }
}
