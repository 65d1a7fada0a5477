import { expect, test } from 'vitest'
import { OPTIONS, optionsOf, readOptions } from './options.js'
import { PlanRefusal } from './refusal.js'

function refused(raw: Record<string, unknown>, command: 'train' | 'serve' = 'train'): PlanRefusal {
  try {
    readOptions(raw, command)
  } catch (error) {
    if (error instanceof PlanRefusal) return error
    throw error
  }
  throw new Error('was not refused')
}

test('flags and names say the same', () => {
  for (const [name, { flag }] of Object.entries(OPTIONS)) {
    const long = /^--([a-z0-9-]+) /.exec(flag)?.[1] ?? ''
    expect(
      long.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()),
      flag,
    ).toBe(name)
  }
})

test.each([
  ['seq', '8_192', 8192],
  ['seq', 8192, 8192],
  ['tokens', '15T', 15e12],
  ['tokens', '1e9', 1e9],
  ['globalBatch', '1024', { sequences: 1024 }],
  ['globalBatch', '4Mtok', { tokens: 4e6, binaryTokens: 4 * 2 ** 20 }],
  ['trainable', 'qlora:16', { kind: 'qlora', rank: 16 }],
  ['sharding', 'hsdp:8', { kind: 'hsdp', group: 8 }],
  ['sharding', 'ZeRO3', { kind: 'zero3' }],
  ['recompute', 'full', { kind: 'full', layers: null }],
  ['recompute', 'full:4', { kind: 'full', layers: 4 }],
  ['overlap', 'tp,dp', ['tp', 'dp']],
  ['overlap', ['tp'], ['tp']],
  ['overlap', 'none', []],
  ['stageLayers', '3,4', [3, 4]],
  ['sequenceParallel', 'on', true],
  ['sequenceParallel', false, false],
  ['release', '25.9', '2025.09'],
  ['mfu', 'causal=half,peak=989', { causal: 'half', peak: '989' }],
] as const)('%s %j', (name, value, read) => {
  expect(readOptions({ [name]: value }, 'train')).toMatchObject({ [name]: read })
})

test('every fault is named at once, with what was meant', () => {
  const { reason, suggestions } = refused({
    precison: 'bf16',
    optimizer: 'adam',
    tp: 0,
    seq: 'long',
    'global-batch': 1,
  })
  expect(reason).toContain('precison: there is no such option')
  expect(reason).toContain("optimizer: 'adam' is none of")
  expect(reason).toContain("tp: '0' is not a whole number of 1 or more")
  expect(reason).toContain("seq: 'long' is not a whole number")
  expect(suggestions).toEqual(['did you mean precision?', 'did you mean globalBatch?'])
})

test('an option of the other kind is refused', () => {
  expect(refused({ prompt: 100 }).reason).toBe('prompt: is an option of serve, not of train')
  expect(refused({ schedule: '1f1b' }, 'serve').reason).toBe('schedule: is an option of train, not of serve')
  expect(refused({ framework: 'megatron' }, 'serve').reason).toContain('neutral, vllm, trtllm, sglang')
  expect(refused({ trainable: 'lora' }).reason).toContain('needs a rank, as in lora:16')
})

test('undefined and null count as not given', () => {
  expect(readOptions({ tp: undefined, pp: null }, 'train')).toEqual({ id: null, search: true })
})

test('search is on unless told otherwise', () => {
  expect(readOptions({}, 'train').search).toBe(true)
  expect(readOptions({ noSearch: true }, 'train').search).toBe(false)
  expect(readOptions({ search: false }, 'train').search).toBe(false)
})

test('lint has only what describes shapes', () => {
  expect(optionsOf('lint').map(([name]) => name)).toEqual([
    'model',
    'config',
    'shape',
    'layers',
    'gpus',
    'hardware',
    'seq',
    'microBatch',
    'tp',
    'precision',
  ])
})
