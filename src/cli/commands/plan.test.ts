import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type CommandResult, gristmill, temporaryFolder } from '../../../test/cli.js'
import type { ServePlan, TrainPlan } from '../../planner/index.js'

const TRAIN = ['plan', 'train', '--model', 'llama-3-8b', '--gpus', '8xH100', '--seq', '8192', '--global-batch', '64']

/** Standard output must be one object and nothing else. */
function parsed<Plan>({ stdout, stderr }: CommandResult): Plan {
  expect(stderr).toBe('')
  expect(stdout.trim().split('\n')).toHaveLength(1)
  return JSON.parse(stdout) as Plan
}

test('train: one JSON object with every field of the contract', async () => {
  const result = await gristmill([...TRAIN, '--tokens', '1T', '--price', '2.5', '--json'])
  const plan = parsed<TrainPlan>(result)
  expect(result.exitCode).toBe(0)
  expect(Object.keys(plan).sort()).toEqual([
    'advice',
    'dataMBs',
    'fittedOn',
    'flops',
    'id',
    'inputs',
    'memory',
    'params',
    'provenance',
    'reason',
    'schema',
    'search',
    'status',
    'suggestions',
    'throughput',
    'time',
    'total',
    'warnings',
  ])
  expect(plan).toMatchObject({ schema: 'gristmill.plan.train/1', status: 'ok', reason: null, suggestions: [] })
  expect(plan.params!.total).toBe(8_030_261_248)
  expect(Object.keys(plan.time!.parts)).toEqual([
    'gemm',
    'attention',
    'elementwise',
    'loss',
    'tp',
    'cp',
    'ep',
    'ppComm',
    'bubble',
    'dp',
    'optimizer',
    'offload',
  ])
  for (const { p50, lo80, hi80 } of [
    plan.time!.stepS,
    ...Object.values(plan.throughput!).filter((one) => typeof one === 'object'),
  ]) {
    expect(lo80).toBeLessThanOrEqual(p50)
    expect(hi80).toBeGreaterThanOrEqual(p50)
  }
  expect(plan.total!.cost).toBeCloseTo(plan.total!.gpuHours * 2.5, 3)
  expect(plan.search!.best.length).toBeLessThanOrEqual(5)
  expect(plan.inputs.assumed).toContain('precision')
  expect(plan.inputs.assumed).not.toContain('seq')
})

test('train: what it says of itself is a request again, with the same answer', async () => {
  const { inputs, time, memory } = parsed<TrainPlan>(await gristmill([...TRAIN, '--json']))
  const cwd = temporaryFolder()
  const { assumed: _assumed, ...request } = inputs
  writeFileSync(join(cwd, 'again.jsonl'), JSON.stringify({ kind: 'train', ...request, search: false }))
  const again = parsed<TrainPlan>(await gristmill(['plan', 'batch', 'again.jsonl', '--json'], { cwd }))
  expect(again).toMatchObject({ status: 'ok' })
  expect(again.time!.stepS.p50).toBeCloseTo(time!.stepS.p50, 6)
  expect(again.memory!.deviceGiB).toEqual(memory!.deviceGiB)
})

test('train: people get tables, and with --explain sources', async () => {
  const { exitCode, stdout, stderr } = await gristmill([...TRAIN, '--explain'])
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  for (const part of [
    'llama-3-8b on 8xH100-SXM',
    'MFU',
    'memory in GiB',
    'where the time goes',
    'best of',
    'why not',
    'assumed: ',
    'where the numbers come from',
    'arXiv:',
  ])
    expect(stdout).toContain(part)
  expect(stdout).not.toMatch(/NaN|undefined|\[object/)
})

test('train: what does not fit is answered with exit code 0, a reason and what would fit', async () => {
  const result = await gristmill([
    'plan',
    'train',
    '--model',
    'llama-3-70b',
    '--gpus',
    '8xA100-40G',
    '--no-search',
    '--json',
  ])
  const plan = parsed<TrainPlan>(result)
  expect(result.exitCode).toBe(0)
  expect(plan).toMatchObject({ status: 'does-not-fit', memory: { fits: false } })
  expect(plan.reason).toMatch(/[\d.]+ of 40 GiB on stage 0, .+ bind/)
  expect(plan.suggestions.length).toBeGreaterThan(0)
})

test.each([
  [['--model', 'llama-3-8b', '--gpus', '8xH10'], "'H10' is no accelerator", 'H100-SXM'],
  [['--model', 'lama-3-8b', '--gpus', '8xH100'], "no model 'lama-3-8b'", 'llama-3-8b'],
  [['--model', 'llama-3-8b', '--gpus', '12xH100', '--tp', '12', '--no-search'], 'tp 12', 'tp of 1, 2'],
  [['--model', 'llama-3-8b', '--gpus', '8xH100', '--global-batch', '12', '--no-search'], 'globalBatch 12', '8 or 16'],
  [['--model', 'llama-3-8b', '--gpus', '8xV100', '--precision', 'bf16'], 'V100-32G has no bf16', 'fp16'],
  [['--config', 'missing.json', '--gpus', '8xH100'], "config: cannot read 'missing.json'", 'relative'],
  [['--gpus', '8xH100'], 'there is no model', '--model'],
] as const)('train %j is refused with what would work', async (flags, reason, suggestion) => {
  const json = await gristmill(['plan', 'train', ...flags, '--json'])
  expect(json.exitCode).toBe(2)
  const plan = parsed<TrainPlan>(json)
  expect(plan.status).toBe('refused')
  expect(plan.reason).toContain(reason)
  expect(plan.suggestions.join('; ')).toContain(suggestion)
  const text = await gristmill(['plan', 'train', ...flags])
  expect(text).toMatchObject({ exitCode: 2, stdout: '' })
  expect(text.stderr).toContain(`refused: `)
})

test('a misspelt flag is a usage error that names the flag', async () => {
  const { exitCode, stderr } = await gristmill(['plan', 'train', '--modle', 'llama-3-8b'])
  expect(exitCode).toBe(2)
  expect(stderr).toContain("unknown option '--modle'\nhint: did you mean --model?")
  expect((await gristmill(['plan', 'serv'])).stderr).toContain('did you mean serve?')
})

test('serve: one JSON object with every field of the contract', async () => {
  const flags = [
    '--model',
    'qwen3-8b',
    '--gpus',
    '1xL40S',
    '--prompt',
    '2000',
    '--output',
    '500',
    '--concurrency',
    '64',
  ]
  const result = await gristmill(['plan', 'serve', ...flags, '--weights', 'int8', '--price', '1', '--json'])
  const plan = parsed<ServePlan>(result)
  expect(result.exitCode).toBe(0)
  expect(Object.keys(plan).sort()).toEqual([
    'advice',
    'bound',
    'cost',
    'curve',
    'fittedOn',
    'id',
    'inputs',
    'latency',
    'memory',
    'provenance',
    'reason',
    'scaleOut',
    'schema',
    'status',
    'suggestions',
    'throughput',
    'warnings',
  ])
  expect(plan).toMatchObject({
    schema: 'gristmill.plan.serve/1',
    throughput: { concurrency: 64 },
    memory: { kvBytesPerToken: 147_456 },
  })
  const { stdout } = await gristmill(['plan', 'serve', ...flags])
  expect(stdout).toContain('time to first token')
  expect(stdout).not.toMatch(/NaN|undefined/)
})

test('batch: one request a line, one result a line, bad lines too', async () => {
  const cwd = temporaryFolder()
  const lines = [
    JSON.stringify({
      id: 'a',
      kind: 'train',
      model: 'llama-3-8b',
      gpus: '8xH100',
      globalBatch: 64,
      noSearch: true,
      sharding: 'fsdp',
      recompute: 'full',
    }),
    JSON.stringify({ id: 'b', kind: 'serve', request: { model: 'qwen3-8b', gpus: '1xL40S' } }),
    JSON.stringify({ id: 'c', model: 'qwen3-8b', gpus: '1xL40S', prompt: 100 }),
    JSON.stringify({ id: 7, kind: 'train', model: 'llama-3-8b', gpus: '8xH100', global_batch: 64 }),
    'not json',
  ]
  writeFileSync(join(cwd, 'requests.jsonl'), `${lines.join('\n')}\n\n`)
  const { exitCode, stdout } = await gristmill(['plan', 'batch', 'requests.jsonl', '--json'], { cwd })
  expect(exitCode).toBe(0)
  const plans = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as TrainPlan | ServePlan)
  expect(plans.map(({ id, status, schema }) => [id, status, schema.split('.')[2]!.split('/')[0]])).toEqual([
    ['a', 'ok', 'train'],
    ['b', 'ok', 'serve'],
    ['c', 'ok', 'serve'],
    ['7', 'refused', 'train'],
    [null, 'refused', 'train'],
  ])
  expect(plans[3]!.suggestions).toEqual(['did you mean globalBatch?'])
  const table = await gristmill(['plan', 'batch', 'requests.jsonl'], { cwd })
  expect(table.stdout).toMatch(/^ +b +qwen3-8b +1xL40S +ok/m)
})

test('score: rows and sums, for measured runs of any table', async () => {
  const cwd = temporaryFolder()
  const run = {
    id: 'r1',
    table: 'mine',
    kind: 'serve',
    request: { model: 'llama-3.1-8b', gpus: '1xH100', weights: 'fp8', framework: 'trtllm', prompt: 1000, output: 1000 },
  }
  writeFileSync(
    join(cwd, 'runs.jsonl'),
    JSON.stringify({ ...run, measured: { 'throughput.outputTokensPerS': 15_220 }, fits: true }),
  )
  const { stdout, exitCode } = await gristmill(['plan', 'score', '--table', 'runs.jsonl', '--json'], { cwd })
  expect(exitCode).toBe(0)
  const score = JSON.parse(stdout) as {
    rows: { id: string; field: string; error: number; inside: boolean; fitted: boolean }[]
    tables: { n: number }[]
  }
  expect(score.rows.map(({ id, field, inside, fitted }) => [id, field, inside, fitted])).toEqual([
    ['r1', 'throughput.outputTokensPerS', true, false],
    ['r1', 'fits', true, false],
  ])
  expect(score.tables.map(({ n }) => n)).toEqual([1, 1])
  writeFileSync(join(cwd, 'bad.jsonl'), '{"id": "x"}')
  const bad = await gristmill(['plan', 'score', '--table', 'bad.jsonl'], { cwd })
  expect(bad.exitCode).toBe(2)
  expect(bad.stderr).toContain('measured run 1 lacks a text for id or table')
})

test('lint: a config file as Hugging Face writes it', async () => {
  const cwd = temporaryFolder()
  const config = {
    model_type: 'llama',
    architectures: ['LlamaForCausalLM'],
    hidden_size: 4096,
    num_hidden_layers: 8,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    intermediate_size: 10_922,
    vocab_size: 32_000,
    max_position_embeddings: 4096,
    tie_word_embeddings: false,
    rms_norm_eps: 1e-5,
    hidden_act: 'silu',
  }
  writeFileSync(join(cwd, 'my.json'), JSON.stringify(config))
  const { stdout, exitCode } = await gristmill(['plan', 'lint', '--model', 'my.json'], { cwd })
  expect(exitCode).toBe(0)
  expect(stdout).toContain('ffn: 10922 is no multiple of 64')
  expect(stdout).toMatch(/10944: one layer, forward and backward \d+ → \d+ TFLOP\/s/)
})

test('--html writes a page, --hardware takes accelerators of your own', async () => {
  const cwd = temporaryFolder()
  writeFileSync(
    join(cwd, 'own.json'),
    JSON.stringify({ like: 'H100', name: 'H100-120G', hbmGib: 118, sources: ['data sheet'] }),
  )
  const result = await gristmill(
    [...TRAIN.slice(0, 4), '--gpus', '8xH100-120G', '--hardware', 'own.json', '--html', 'plan.html'],
    { cwd },
  )
  expect(result).toMatchObject({ exitCode: 0, stderr: 'wrote plan.html\n' })
  expect(result.stdout).toContain('of 118.0 GiB a GPU')
  expect(readFileSync(join(cwd, 'plan.html'), 'utf8')).toMatch(/^<!doctype html>/)
})
