/**
 * A run from and to a real S3 server gives what the same run gives locally, killed or not.
 */
import { cpSync, existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { gristmill, manifestOf, outputsOf, pipelineFile, runWell, testFolder } from './command.js'
import { manyTasks, wordTokenizer } from './corpora.js'
import { startS3 } from './servers/s3.js'

const steps = [
  'exact-dedup',
  { shuffle: { seed: 5 } },
  { tokenize: { tokenizer: './tokenizer.json' } },
  { pack: { length: 256 } },
]

test('s3 to s3, undisturbed and killed at three points: the bytes of the local run', async () => {
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
  const options = { env: server.env }
  await runWell(remote, 's3://corpus/runs/whole', [], options)
  const whole = join(server.folder, 'corpus/runs/whole')
  const shardsOf = (outputs: Record<string, string>): Record<string, string> =>
    // Tables of documents name the input, which is another address here; token ids are the same.
    Object.fromEntries(Object.entries(outputs).filter(([name]) => /^shards\/.*\.(bin|idx)$|^packs\//u.test(name)))
  expect(manifestOf(whole).totals).toEqual(manifestOf(join(root, 'local')).totals)
  expect(shardsOf(outputsOf(whole))).not.toEqual({})

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

test('s3 inputs with local output, and local inputs with s3 output', async () => {
  const root = testFolder('s3-mixed')
  manyTasks(root, 2)
  const sink = { format: 'jsonl', compression: 'none' }
  const local = pipelineFile(root, { source: { paths: ['data'] }, sink }, 'local.yaml')
  await runWell(local, join(root, 'local'))
  await using server = await startS3()
  await server.createBucket('corpus')
  cpSync(join(root, 'data'), join(server.folder, 'corpus/data'), { recursive: true })
  const remote = pipelineFile(root, { source: { paths: ['s3://corpus/data/'] }, sink }, 'remote.yaml')
  await runWell(remote, join(root, 'from-s3'), [], { env: server.env })
  expect(outputsOf(join(root, 'from-s3'))).toEqual(outputsOf(join(root, 'local')))
  await runWell(local, 's3://corpus/out', [], { env: server.env })
  expect(outputsOf(join(server.folder, 'corpus/out'))).toEqual(outputsOf(join(root, 'local')))
}, 120_000)
