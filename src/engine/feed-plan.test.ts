import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { InputFile, Piece, Range, Split } from '../sources/source.js'
import { cutSplit } from './feed-plan.js'

const fileOf = (number: number, size: number): InputFile => ({
  path: `${number}.jsonl`,
  url: `file:///${number}.jsonl`,
  size,
  fingerprint: `${number}`,
})

const ranges = fc.tuple(fc.nat(1000), fc.integer({ min: 1, max: 1000 })).map(([from, length]): Range => ({
  kind: 'bytes',
  from,
  to: from + length,
}))
const splits = fc
  .array(fc.oneof(ranges, fc.constant<Range>({ kind: 'whole' })), { minLength: 1, maxLength: 12 })
  .map((all): Split => {
    const pieces = all.map((range, number): Piece => ({ file: fileOf(number, 400), range }))
    return { kind: 'split', pieces, bytes: 400 * pieces.length }
  })

/** The stretches in their order, with those joined again that follow each other in one file. */
function joined(pieces: readonly Piece[]): [string, Range][] {
  const out: [string, Range][] = []
  for (const { file, range } of pieces) {
    const last = out.at(-1)
    if (last?.[0] === file.path && last[1].kind === 'bytes' && range.kind === 'bytes' && last[1].to === range.from) {
      out[out.length - 1] = [file.path, { ...last[1], to: range.to }]
    } else {
      out.push([file.path, range])
    }
  }
  return out
}

test('the tasks of a feed are the splits of a run, cut smaller', () => {
  fc.assert(
    fc.property(splits, fc.integer({ min: 1, max: 3000 }), (split, bytes) => {
      const tasks = cutSplit(split, bytes)
      expect(joined(tasks.flatMap(({ pieces }) => pieces))).toEqual(joined(split.pieces))
      for (const { pieces, bytes: size } of tasks) {
        // Nothing but a piece that cannot be cut further exceeds the bound by more than half.
        expect(pieces.length === 1 || size <= 1.5 * bytes).toBe(true)
      }
    }),
  )
})
