/**
 * The recipes of the package as a user runs them: in an empty folder with the data and the language model, over
 * chapters of a novel, Chinese pages, near-duplicates and private data.
 */
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type * as Facade from '../src/index.js'
import { chapters, LANGUAGE_MODEL } from './classifier-texts.js'
import { gristmill, manifestOf, metricsOf, testFolder } from './command.js'
import { place } from './corpora.js'
import { askOracle } from './oracle.js'

const BUILD = '../dist/index.js'
const { whyRow } = (await import(BUILD)) as typeof Facade

interface Page {
  readonly id: string
  readonly text: string
}

/** Prose of some 400 words, as lines of a page. */
const prose = chapters()
  .filter((chapter) => chapter.length > 6_000)
  .slice(0, 12)
  .map((chapter) =>
    chapter
      .slice(0, 2_400)
      .replaceAll(/\s*\n\s*\n\s*/gu, '\n')
      .replace(/[^.!?"]*$/u, ''),
  )

const CHINESE = [
  '水推动轮子，轮子推动石磨。这座磨坊建于一八四二年，是河边最古老的建筑。',
  '每天早晨，磨坊主人打开水闸，让河水流进渠道，巨大的木轮就慢慢转动起来。',
  '农民们赶着牛车，把麦子和玉米送到这里，在院子里等待，一边喝茶一边谈论天气和收成。',
  '穀物从斗中落下，被上面的石头碾碎，变成又细又白的面粉，再由学徒装进布袋。',
  '到了冬天，河面结冰，磨坊不得不停工，主人便利用这段时间修理齿轮，更换磨损的部件。',
  '后来城里有了电力，人们不再需要水磨，许多工匠离开了村庄，去工厂寻找新的工作。',
  '如今磨坊成为博物馆，游客可以看到当年的机器，也可以亲手试一试怎样磨出面粉。',
]

const chinese = (more: string): string => [...CHINESE, more].join('\n')

const PAGES: readonly Page[] = [
  ...prose.map((text, n) => ({ id: `prose-${n}`, text })),
  { id: 'twin', text: prose[3]! },
  { id: 'near', text: prose[4]!.replace(/\w+/u, 'Something') },
  { id: 'address', text: `${prose[5]!.slice(0, 1_000)}\n${prose[6]!.slice(0, 1_000)}\nWrite to ishmael@whalers.org.` },
  { id: 'short', text: 'Home. About. Contact.' },
  { id: 'again', text: 'The whale comes up to breathe, and the men in the boats wait.\n'.repeat(12) },
  { id: 'zh-a', text: chinese('想参观的人可以打电话13812345678预约，也可以直接来。') },
  { id: 'zh-b', text: chinese('想参观的人可以打电话13987654321预约，也可以直接来。') },
]

/** What a recipe made of the pages, with the reason for each that left. */
async function bake(recipe: string): Promise<{
  out: string
  kept: ReadonlyMap<string, string>
  removed: Readonly<Record<string, string>>
}> {
  const root = testFolder('recipe')
  place(join(root, 'data/pages.jsonl'), PAGES.map((page) => `${JSON.stringify(page)}\n`).join(''))
  symlinkSync(LANGUAGE_MODEL, join(root, 'lid.176.ftz'))
  const args = ['run', `recipe:${recipe}`, '--set', 'source.paths=data', '--out', 'run', '--workers', '1']
  const { code, stderr } = await gristmill(args, { cwd: root })
  expect(stderr.includes('error'), stderr).toBe(false)
  expect(code).toBe(0)
  const out = join(root, 'run')
  const { shards, removed, totals, name } = manifestOf(out)
  expect(name).toBe(recipe)
  expect(totals.rowsIn).toBe(PAGES.length)
  expect(totals.rowsOut + totals.removed).toBe(PAGES.length)
  const read = (file: string): Record<string, unknown>[] => askOracle('read_parquet.py', { path: join(out, file) })
  const rows = shards.flatMap((shard) => read(shard.files[0]!.name))
  const reasons = removed.flatMap((file) => read(file.name))
  return {
    out,
    kept: new Map(rows.map(({ id, text }) => [String(id), String(text)])),
    removed: Object.fromEntries(reasons.map(({ id, step, rule }) => [String(id), `${String(step)}: ${String(rule)}`])),
  }
}

const proseIds = prose.map((_, n) => `prose-${n}`)

test('fineweb', { timeout: 60_000 }, async () => {
  const { out, kept, removed } = await bake('fineweb')
  expect([...kept.keys()]).toEqual([...proseIds, 'address'])
  expect(kept.get('address')).toMatch(/Write to email@example\.com\.$/u)
  expect(removed).toMatchObject({
    twin: expect.stringMatching(/^minhash-dedup: /u) as string,
    near: expect.stringMatching(/^minhash-dedup: /u) as string,
    again: expect.stringMatching(/^gopher-repetition: /u) as string,
    short: expect.any(String) as string,
    'zh-a': 'language: keep',
    'zh-b': 'language: keep',
  })
  expect(metricsOf(out).edits).toContainEqual({ step: 'pii', rule: 'email', rows: 1, count: 1, bytes: 19 })
  const [near] = await whyRow(out, 'near', {})
  expect(near).toMatchObject({ outcome: 'removed', keeper: { id: 'prose-4' } })
})

test('gopher-c4', { timeout: 60_000 }, async () => {
  const { kept, removed } = await bake('gopher-c4')
  expect([...kept.keys()]).toEqual(expect.arrayContaining(['prose-0', 'prose-3', 'prose-4', 'address']))
  expect(removed).toMatchObject({
    twin: 'exact-dedup: duplicate',
    near: expect.stringMatching(/^minhash-dedup: /u) as string,
    again: expect.stringMatching(/^gopher-repetition: /u) as string,
    'zh-a': 'language: keep',
  })
})

test('dclm-heuristics', { timeout: 60_000 }, async () => {
  const { kept, removed } = await bake('dclm-heuristics')
  expect([...kept.keys()]).toEqual([...proseIds, 'address'])
  expect(kept.get('address')).toContain('ishmael@whalers.org')
  expect(removed).toMatchObject({
    twin: 'exact-dedup: duplicate',
    near: expect.stringMatching(/^minhash-dedup: /u) as string,
    again: expect.stringMatching(/^gopher-repetition: /u) as string,
    'zh-a': 'language: keep',
  })
})

test('zh-web', { timeout: 60_000 }, async () => {
  const { kept, removed } = await bake('zh-web')
  expect([...kept.keys()]).toEqual(['zh-a'])
  expect(kept.get('zh-a')).toContain('打电话<PHONE>预约')
  expect(removed).toMatchObject({
    'zh-b': expect.stringMatching(/^minhash-dedup: /u) as string,
    'prose-0': 'language: keep',
  })
})

test('without the model a recipe says which file is wanted', async () => {
  const root = testFolder('recipe')
  place(join(root, 'data/pages.jsonl'), '{"text":"a page"}\n')
  const args = ['run', 'recipe:fineweb', '--set', 'source.paths=data', '--out', 'run']
  const { code, stderr } = await gristmill(args, { cwd: root })
  expect(code).toBe(2)
  expect(stderr).toContain('there is no model file ./lid.176.ftz')
})
