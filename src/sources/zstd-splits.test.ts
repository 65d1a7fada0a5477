import { expect, test } from 'vitest'
import { planning, readSplits, readFiles, writeFiles } from '../../test/read-source.js'
import { zstdFrame, zstdFrames, zstdStream } from '../../test/zstd.js'
import { jsonl } from './jsonl.js'
import { frameSplits } from './zstd-splits.js'

const columns = [{ name: 'text', type: 'string' }] as const
const lines = Array.from({ length: 5000 }, (_, i) => `{"id":${i},"text":"row ${i}"}\n`).join('')

/** Frames that end anywhere in a line. */
function frames(bytes: number): Buffer[] {
  const count = Math.ceil(lines.length / bytes)
  return zstdFrames(Array.from({ length: count }, (_, i) => Buffer.from(lines.slice(i * bytes, (i + 1) * bytes))))
}

test('splits of whole frames give the rows of the file', async () => {
  const [file] = await writeFiles({ 'a.jsonl.zst': Buffer.concat(frames(20_000)) })
  const whole = await readFiles(jsonl, [file!])
  for (const bytes of [1, 20_000, 50_000]) {
    const splits = (await frameSplits(file!, bytes, planning))!
    expect(splits.length).toBe(Math.ceil(Math.ceil(lines.length / 20_000) / Math.ceil(bytes / 20_000)))
    const { rows, rejects, consumed } = await readSplits(jsonl, splits, columns, undefined, 3000)
    expect({ rows, rejects, consumed }).toEqual({ rows: whole.rows, rejects: [], consumed: lines.length })
  }
})

test('one frame, or frames that do not say their size, are walked', async () => {
  const [one, unsized] = await writeFiles({
    'one.jsonl.zst': zstdFrame(lines),
    'unsized.jsonl.zst': Buffer.concat([zstdStream(lines), zstdStream(lines)]),
  })
  expect(await frameSplits(one!, 1, planning)).toBeUndefined()
  expect(await frameSplits(unsized!, 1, planning)).toBeUndefined()
})

test('a file that is not local is split by its seek table, in two requests', async () => {
  const parts = frames(30_000)
  const entries = parts.map((part, i) => uint32(part.length, Math.min(30_000, lines.length - i * 30_000)))
  const footer = Buffer.concat([uint32(parts.length), Buffer.from([0]), uint32(0x8f92eab1)])
  const table = Buffer.concat([...entries, footer])
  const content = Buffer.concat([...parts, uint32(0x184d2a5e, table.length), table])
  const [file] = await writeFiles({ 'a.jsonl.zst': content })
  const requests: number[] = []
  const store = {
    localFolder: undefined,
    read: async (_key: string, from: number, to: number) => {
      requests.push(to - from)
      return content.subarray(from, to)
    },
  }
  const stores = { locate: async (url: string) => ({ store, key: url }) } as unknown as typeof planning.stores
  const splits = await frameSplits(file!, 1, { ...planning, stores })
  expect(splits).toEqual(await frameSplits(file!, 1, planning))
  expect(requests).toEqual([9, table.length + 8])
})

function uint32(...values: number[]): Buffer {
  return Buffer.from(Uint32Array.from(values).buffer)
}
