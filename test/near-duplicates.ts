/**
 * Documents that are alike, how alike they are by counting, and what a run recorded of those it removed.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { manifestOf } from './command.js'
import { mobyDick, random } from './corpora.js'
import { oracle } from './oracle.js'

export interface Document {
  readonly id: string
  readonly text: string
  readonly score?: number
}

/** A record of `removed/`. */
export interface Removal {
  readonly id: string
  readonly step: string
  readonly rule: string
  readonly value: number
  readonly threshold: number
  readonly keeper: string
  readonly keeper_file: string
  readonly keeper_run: string | null
  readonly cluster: string
  readonly cluster_size: number
}

/** What a run into JSON Lines kept, in order, and what it removed. */
export function decidedIn(out: string): { readonly kept: readonly Document[]; readonly removed: readonly Removal[] } {
  const names = readdirSync(join(out, 'shards')).toSorted()
  const lines = names.flatMap((name) => readFileSync(join(out, 'shards', name), 'utf8').split('\n'))
  const files = manifestOf(out).removed.map(({ name }) => join(out, name))
  const records = files.length === 0 ? [] : oracle<{ rows: Removal[] }[]>('read_rows.py', files)
  return {
    kept: lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Document),
    removed: records.flatMap(({ rows }) => rows),
  }
}

/** Shingles of five words, numbers and punctuation as datatrove has them; for ASCII. */
export function shinglesOf(text: string): Set<string> {
  const simple = text
    .toLowerCase()
    .replaceAll(/\d+([.,]\d+)?/gu, '0')
    .replaceAll(/[^a-z0]+/gu, ' ')
    .trim()
  const words = simple.split(' ')
  return new Set(words.slice(4).map((_, at) => words.slice(at, at + 5).join(' ')))
}

export function jaccard(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  let shared = 0
  for (const shingle of a) if (b.has(shingle)) shared += 1
  return shared / (a.size + b.size - shared)
}

/** Similarity of all pairs that share a shingle, by the places of the documents. */
export function similarPairs(sets: readonly ReadonlySet<string>[]): { a: number; b: number; similarity: number }[] {
  const places = new Map<string, number[]>()
  for (const [at, set] of sets.entries()) {
    for (const shingle of set) {
      const list = places.get(shingle)
      if (list) list.push(at)
      else places.set(shingle, [at])
    }
  }
  const pairs = new Set<number>()
  for (const list of places.values())
    for (const [index, a] of list.entries()) for (const b of list.slice(index + 1)) pairs.add(a * sets.length + b)
  return [...pairs].map((pair) => {
    const [a, b] = [Math.floor(pair / sets.length), pair % sets.length]
    return { a, b, similarity: jaccard(sets[a]!, sets[b]!) }
  })
}

/** 2,600 passages of Moby Dick, each followed by one or more copies in which words were changed. */
export function perturbed(): Document[] {
  const words = mobyDick()
    .replaceAll(/[^ -~]+/gu, ' ')
    .split(/ +/u)
  const next = random(11)
  const documents: Document[] = []
  for (let n = 0; n < 2600; n++) {
    const passage = words.slice(n * 78, n * 78 + 60 + Math.floor(next() * 90))
    documents.push({ id: `${n}`, text: passage.join(' ') })
    let copy = passage
    for (let generation = 1; next() < (generation === 1 ? 0.9 : 0.3); generation++) {
      // A changed word changes five shingles; a copy of a copy is a chain.
      const rate = [0, 0.002, 0.008, 0.015, 0.03][Math.floor(next() * 5)]!
      copy = copy.map((word) => (next() < rate ? `changed${Math.floor(next() * 1e6)}` : word))
      documents.push({ id: `${n}-${generation}`, text: copy.join(' ') })
    }
  }
  return documents
}
