/**
 * `minhash-dedup` against counting: every pair of documents that shares a shingle is compared in plain
 * JavaScript, and no removal may be of a document less similar to its keeper than the threshold.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { formatCount } from '../src/core/units.js'
import { metricsOf, outputsOf, pipelineFile, runWell, testFolder } from './command.js'
import { place, random } from './corpora.js'
import {
  decidedIn,
  type Document,
  jaccard,
  perturbed,
  type Removal,
  shinglesOf,
  similarPairs,
} from './near-duplicates.js'

interface Decided {
  readonly root: string
  readonly kept: readonly string[]
  readonly removed: readonly Removal[]
}

/** Runs the step over documents and reads what stayed and what went. */
async function dedup(documents: readonly Document[], options: object = {}, folder?: string): Promise<Decided> {
  const root = folder ?? testFolder('near')
  place(join(root, 'in/a.jsonl'), documents.map((document) => `${JSON.stringify(document)}\n`).join(''))
  const sink = { format: 'jsonl', compression: 'none' }
  const file = pipelineFile(root, { source: { paths: ['in'] }, steps: [{ 'minhash-dedup': options }], sink })
  const out = join(root, 'out')
  await runWell(file, out, ['--workers', '2'])
  const { kept, removed } = decidedIn(out)
  return { root, kept: kept.map(({ id }) => id), removed }
}

/** Every removal is of a row that is gone, because of one that is there and as similar as stated. */
function checkRemovals(documents: readonly Document[], { kept, removed }: Decided, threshold: number): void {
  const sets = new Map(documents.map(({ id, text }) => [id, shinglesOf(text)]))
  expect([...kept, ...removed.map(({ id }) => id)].toSorted()).toEqual(documents.map(({ id }) => id).toSorted())
  const there = new Set(kept)
  const sizes = new Map<string, number>()
  for (const { cluster } of removed) sizes.set(cluster, (sizes.get(cluster) ?? 1) + 1)
  for (const { id, keeper, value, rule, cluster, cluster_size: size, ...record } of removed) {
    expect(there.has(keeper), `${keeper}, the keeper of ${id}, is gone`).toBe(true)
    expect(value).toBe(jaccard(sets.get(id)!, sets.get(keeper)!))
    expect(value).toBeGreaterThanOrEqual(threshold)
    expect([rule, record.threshold, size]).toEqual(['jaccard', threshold, sizes.get(cluster)])
  }
}

test('finds near-duplicates among 5,000 passages and removes none that is not one', async () => {
  const documents = perturbed()
  expect(documents.length).toBeGreaterThan(5000)
  const decided = await dedup(documents)
  checkRemovals(documents, decided, 0.8)
  const stays = new Set(decided.kept)
  const pairs = similarPairs(documents.map(({ text }) => shinglesOf(text)))
  /** Share of the pairs this similar of which not both stayed. */
  const recall = (from: number, to: number): number => {
    const similar = pairs.filter(({ similarity }) => similarity >= from && similarity < to)
    expect(similar.length).toBeGreaterThan(200)
    return (
      similar.filter(({ a, b }) => !(stays.has(documents[a]!.id) && stays.has(documents[b]!.id))).length /
      similar.length
    )
  }
  expect(recall(0.9, 2)).toBeGreaterThanOrEqual(0.97)
  expect(recall(0.85, 0.9)).toBeGreaterThanOrEqual(0.95)
  // What visiting rows in order and comparing all would have left.
  const near = new Map<number, number[]>()
  for (const { a, b, similarity } of pairs) if (similarity >= 0.8) near.set(b, [...(near.get(b) ?? []), a])
  const ideal = new Set<number>()
  for (const at of documents.keys()) if (!near.get(at)?.some((before) => ideal.has(before))) ideal.add(at)
  const same = documents.filter(({ id }, at) => ideal.has(at) === stays.has(id)).length
  expect(same / documents.length).toBeGreaterThan(0.99)
}, 120_000)

/** A, then A₁ in which some words are others, then A₂ in which more are: A and A₂ are less alike than the threshold. */
function chain(): Document[] {
  const words = Array.from(
    { length: 300 },
    (_, n) => `w${String.fromCodePoint(97 + (n % 26))}${'abcdefghijkl'[Math.floor(n / 26)]}`,
  )
  const change = (from: number, to: number, base: readonly string[]): string[] =>
    base.map((word, at) => (at >= from && at < to && at % 5 === 0 ? `${word}x` : word))
  const first = change(0, 30, words)
  const second = change(150, 180, first)
  return [words, first, second].map((list, n) => ({ id: `A${n}`, text: list.join(' '), score: n }))
}

test('a chain is cut where rows are no longer alike, unless transitive clusters are asked for', async () => {
  const documents = chain()
  const [a, b, c] = documents.map(({ text }) => shinglesOf(text)) as [Set<string>, Set<string>, Set<string>]
  expect(jaccard(a, b)).toBeGreaterThanOrEqual(0.8)
  expect(jaccard(b, c)).toBeGreaterThanOrEqual(0.8)
  expect(jaccard(a, c)).toBeLessThan(0.8)
  const greedy = await dedup(documents)
  expect(greedy.kept).toEqual(['A0', 'A2'])
  checkRemovals(documents, greedy, 0.8)
  const transitive = await dedup(documents, { cluster: 'transitive' })
  expect(transitive.kept).toEqual(['A0'])
  expect(transitive.removed.map(({ id, keeper, value }) => [id, keeper, value])).toEqual([
    ['A1', 'A0', jaccard(a, b)],
    ['A2', 'A0', jaccard(a, c)],
  ])
  expect(new Set(transitive.removed.map(({ cluster, cluster_size: size }) => `${cluster} ${size}`)).size).toBe(1)
})

test('the row that stays is the first in keeper order', async () => {
  const documents = chain().map((document) => ({
    ...document,
    text: `${document.text} ${'tail '.repeat(document.score ?? 0)}`,
  }))
  expect((await dedup(documents, { keep: { highest: 'score' } })).kept).toEqual(['A0', 'A2'])
  const [, b, c] = documents
  expect((await dedup([b!, c!], { keep: 'longest' })).removed.map(({ id, keeper }) => [id, keeper])).toEqual([
    ['A1', 'A2'],
  ])
  expect((await dedup([b!, c!], { keep: 'first' })).removed.map(({ id, keeper }) => [id, keeper])).toEqual([
    ['A2', 'A1'],
  ])
  expect((await dedup([b!, c!], { keep: { highest: 'score' } })).kept).toEqual(['A2'])
})

test('2,000 pages that share 60 % boilerplate all stay', async () => {
  const next = random(5)
  const word = (): string =>
    `p${Math.floor(next() * 1e9)
      .toString(36)
      .replaceAll(/\d/gu, 'q')}`
  const boilerplate = Array.from({ length: 120 }, word).join(' ')
  const pages = Array.from({ length: 2000 }, (_, n) => ({
    id: `${n}`,
    text: `${boilerplate} ${Array.from({ length: 80 }, word).join(' ')}`,
  }))
  const decided = await dedup(pages)
  checkRemovals(pages, decided, 0.8)
  expect(decided.removed).toEqual([])
}, 60_000)

test('pages of one template cost no more than their leaders, and what was not compared is counted', async () => {
  const next = random(6)
  const words = Array.from(
    { length: 200 },
    (_, n) => `t${'abcdefghij'[Math.floor(n / 26)]}${String.fromCodePoint(97 + (n % 26))}`,
  )
  // 0.6 alike: most pairs meet in some band, none is a duplicate.
  const pages = Array.from({ length: 3000 }, (_, n) => ({
    id: `${n}`,
    text: words
      .map((word, at) =>
        at % 20 === 0
          ? `${word}${next()
              .toString(36)
              .replaceAll(/[^a-z]/gu, '')}`
          : word,
      )
      .join(' '),
  }))
  const { root, removed } = await dedup(pages)
  expect(removed).toEqual([])
  const clusters = metricsOf(join(root, 'out')).stages.find(({ name }) => name === 'minhash-dedup: clusters')!
  const overflow = clusters.counts!['overflow']!
  expect(overflow).toBeGreaterThan(0)
  expect(readFileSync(join(root, 'out/report.html'), 'utf8')).toContain(`>${formatCount(overflow)}<`)
  expect(clusters.counts!['compared']).toBeLessThan(3000 * 64 * 16)
}, 60_000)

test('what cannot be a duplicate stays: no words, and texts shorter than a shingle that differ', async () => {
  const texts = ['', '  ...  ', '', 'one', 'One!', 'two', '床前明月光', '床前明月光。', '疑是地上霜']
  const { kept, removed } = await dedup(texts.map((text, n) => ({ id: `${n}`, text })))
  expect(kept).toEqual(['0', '1', '2', '3', '5', '6', '8'])
  expect(removed.map(({ id, keeper, value }) => [id, keeper, value])).toEqual([
    ['4', '3', 1],
    ['7', '6', 1],
  ])
})

test('a configuration that cannot work is refused before anything runs', async () => {
  const check = async (options: object, message: RegExp): Promise<void> =>
    expect(dedup([{ id: 'a', text: 'b', score: 1 }], options)).rejects.toThrow(message)
  await check({ permutations: 4, threshold: 0.1 }, /GM_CONFIG.*4 permutations are too few/su)
  await check({ keep: { highest: 'scores' } }, /GM_COLUMN_MISSING.*'scores'/su)
  await check({ keep: { highest: 'text' } }, /GM_COLUMN_TYPE.*needs a number/su)
  await check({ threshold: 1.2 }, /threshold/u)
})

test('the same rows stay whatever follows the step', async () => {
  const documents = perturbed().slice(0, 500)
  const { root, kept } = await dedup(documents)
  const sink = { format: 'jsonl', compression: 'none' }
  const steps = ['minhash-dedup', { shuffle: { seed: 3 } }]
  const file = pipelineFile(root, { source: { paths: ['in'] }, steps, sink }, 'shuffled.yaml')
  const out = join(root, 'shuffled')
  await runWell(file, out)
  const shards = Object.keys(outputsOf(out, ['shards'])).filter((name) => name.endsWith('.jsonl'))
  const shuffled = shards.flatMap((name) => readFileSync(join(out, name), 'utf8').trimEnd().split('\n'))
  expect(shuffled.map((line) => (JSON.parse(line) as Document).id).toSorted()).toEqual([...kept].toSorted())
})
