/**
 * A small finished run on disk, as the engine would leave it, made without the engine: two Megatron shards, a pack,
 * removed rows and a quarantine. Tests damage it.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Dictionary, Table, tableToIPC, Uint32, Uint64, Utf8, vectorFromArray } from 'apache-arrow'
import type { Manifest, ManifestFile } from '../../src/engine/manifest.js'
import { Batch } from '../../src/kernels/batch.js'
import { hashBlocks } from '../../src/kernels/block-hash.js'
import { addon } from '../../src/kernels/native.js'
import { testFolder } from '../folder.js'

export interface SampleRun {
  readonly folder: string
  readonly manifest: Manifest
  /** Writes a changed manifest. */
  rewrite(change: Partial<Manifest>): void
}

/** Documents of each shard as token ids. */
export type Shards = readonly (readonly (readonly number[])[])[]

const SEQUENCE_LENGTH = 8

export async function sampleRun(shards: Shards, more: Partial<Manifest> = {}): Promise<SampleRun> {
  const folder = testFolder('run')
  for (const name of ['shards', `packs/${SEQUENCE_LENGTH}`, 'removed', 'edits', 'quarantine', 'commits']) {
    mkdirSync(join(folder, name), { recursive: true })
  }
  const rows = shards.flat().length
  const tokens = shards.flat(2).length
  for (const [at, documents] of shards.entries()) writeShard(folder, shardName(at), documents)
  const pack = writePack(folder, shards)
  writeParquet(join(folder, 'removed/00000.parquet'), 5)
  writeEdits(join(folder, 'edits/00000.parquet'), 3)
  writeFileSync(join(folder, 'quarantine/00000.jsonl'), '{"code":"json-syntax"}\n{"code":"json-syntax"}\n')
  const file = (name: string): Promise<ManifestFile> => fileOf(folder, name)
  const manifest: Manifest = {
    schemaVersion: 1,
    name: 'sample',
    gristmillVersion: '0.1.0',
    kernelVersion: '0.1.0',
    configuration: { name: 'sample' },
    inputs: [{ path: 'data/a.jsonl', bytes: 1000, fingerprint: '1000-1' }],
    totals: {
      rowsIn: rows + 7,
      added: 0,
      rowsOut: rows,
      removed: 5,
      quarantined: 2,
      pruned: 0,
      tokens,
      decodedBytes: 1000,
    },
    truncatedInputs: [],
    columns: [{ name: 'text', type: 'string' }],
    attempts: [
      {
        attempt: 1,
        startedAt: '2026-08-22T09:00:00.000Z',
        endedAt: '2026-08-22T09:00:01.000Z',
        outcome: 'done',
        workers: 2,
        tasksRun: 3,
        tasksSkipped: 0,
      },
    ],
    shards: await Promise.all(
      shards.map(async (documents, at) => ({
        name: shardName(at),
        rows: documents.length,
        tokens: documents.flat().length,
        files: await Promise.all(
          ['.bin', '.idx', '.docs.parquet'].map((suffix) => file(`shards/${shardName(at)}${suffix}`)),
        ),
      })),
    ),
    packs: [
      {
        length: SEQUENCE_LENGTH,
        strategy: 'concat',
        ...pack,
        splitDocuments: 0,
        truncatedTokens: 0,
        tokens,
        files: await Promise.all(
          ['pieces', 'documents', 'boundaries'].map((name) => file(`packs/${SEQUENCE_LENGTH}/${name}.npy`)),
        ),
      },
    ],
    source: { format: 'jsonl', columns: [{ name: 'text', type: 'string' }] },
    steps: [{ step: 'filter', version: '0' }],
    removed: [{ ...(await file('removed/00000.parquet')), rows: 5 }],
    indexes: [],
    against: [],
    edits: [{ ...(await file('edits/00000.parquet')), rows: 3 }],
    quarantine: [{ ...(await file('quarantine/00000.jsonl')), rows: 2 }],
    exitCode: 0,
    ...more,
  }
  const rewrite = (change: Partial<Manifest>): void =>
    writeFileSync(join(folder, 'manifest.json'), JSON.stringify({ ...manifest, ...change }, null, 2))
  rewrite({})
  return { folder, manifest, rewrite }
}

const shardName = (at: number): string => String(at).padStart(5, '0')

export async function fileOf(folder: string, name: string): Promise<ManifestFile> {
  const bytes = readFileSync(join(folder, name))
  const { checksum, blocks } = await hashBlocks(name, [bytes])
  return { name, bytes: bytes.length, checksum, blocks }
}

/** Every file below a folder, relative. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()
}

function writeShard(folder: string, name: string, documents: readonly (readonly number[])[]): void {
  const lengths = documents.map((document) => document.length)
  const pointers: bigint[] = []
  let bytes = 0
  for (const length of lengths) {
    pointers.push(BigInt(bytes))
    bytes += length * 2
  }
  const head = Buffer.alloc(34)
  head.write('MMIDIDX\0\0', 'latin1')
  head.writeBigUInt64LE(1n, 9)
  head.writeUInt8(8, 17)
  head.writeBigUInt64LE(BigInt(documents.length), 18)
  head.writeBigUInt64LE(BigInt(documents.length + 1), 26)
  const index = [
    Buffer.from(Int32Array.from(lengths).buffer),
    Buffer.from(BigInt64Array.from(pointers).buffer),
    Buffer.from(BigInt64Array.from({ length: documents.length + 1 }, (_, at) => BigInt(at)).buffer),
  ]
  writeFileSync(join(folder, `shards/${name}.idx`), Buffer.concat([head, ...index]))
  writeFileSync(join(folder, `shards/${name}.bin`), Buffer.from(Uint16Array.from(documents.flat()).buffer))
  writeParquet(join(folder, `shards/${name}.docs.parquet`), documents.length)
}

/** A Parquet file of as many rows: records of removed rows, whatever the name. */
function writeParquet(path: string, rows: number): void {
  const log = new addon.NativeRemovedLog()
  if (rows > 0) {
    using batch = batchOf(rows)
    log.remove(batch.handle, new Uint8Array(Math.ceil(rows / 8)), 'filter', 'rule')
  }
  log.finish(path)
}

/** A file of edits, one a row. */
function writeEdits(path: string, rows: number): void {
  const edits = new addon.NativeEdits()
  using batch = batchOf(rows)
  for (let row = 0; row < rows; row++) edits.record(batch.handle, row, 'line-filter', 'rule', 2, 10)
  edits.finish(path)
}

function batchOf(rows: number): Batch {
  const places = Array.from({ length: rows }, (_, at) => at)
  const file = new Dictionary(new Utf8(), new Uint32())
  const table = new Table({
    __file: vectorFromArray(
      places.map(() => 'data/a.jsonl'),
      file,
    ),
    __position: vectorFromArray(places.map(BigInt), new Uint64()),
    id: vectorFromArray(
      places.map((at) => `row ${at}`),
      new Utf8(),
    ),
  })
  return Batch.fromIpc(tableToIPC(table, 'stream'))
}

/** Packs documents one after the other; a sequence is closed when the next document does not fit. */
function writePack(folder: string, shards: Shards): { sequences: number; pieces: number } {
  const pieces: { offset: number; shard: number; length: number; document: number }[] = []
  const boundaries: bigint[] = []
  let room = 0
  for (const [shard, documents] of shards.entries()) {
    let offset = 0
    for (const [document, { length }] of documents.entries()) {
      if (room < length) {
        boundaries.push(BigInt(pieces.length))
        room = SEQUENCE_LENGTH
      }
      pieces.push({ offset, shard, length, document })
      room -= length
      offset += length
    }
  }
  const data = Buffer.alloc(pieces.length * 16)
  for (const [at, piece] of pieces.entries()) {
    data.writeBigUInt64LE(BigInt(piece.offset), at * 16)
    data.writeUInt32LE(piece.shard, at * 16 + 8)
    data.writeUInt32LE(piece.length, at * 16 + 12)
  }
  const write = (name: string, descr: string, length: number, bytes: Uint8Array): void =>
    writeFileSync(join(folder, `packs/${SEQUENCE_LENGTH}/${name}.npy`), npy(descr, length, bytes))
  write('pieces', "[('token_offset', '<u8'), ('shard', '<u4'), ('length', '<u4')]", pieces.length, data)
  const documents = Uint32Array.from(pieces, (piece) => piece.document)
  write('documents', "'<u4'", documents.length, new Uint8Array(documents.buffer))
  write('boundaries', "'<u8'", boundaries.length, new Uint8Array(BigUint64Array.from(boundaries).buffer))
  return { sequences: boundaries.length, pieces: pieces.length }
}

function npy(descr: string, length: number, bytes: Uint8Array): Buffer {
  const text = `{'descr': ${descr}, 'fortran_order': False, 'shape': (${length},), }`
  const header = `${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11)}\n`
  const head = Buffer.alloc(10)
  head.write('\u0093NUMPY\u0001\0', 'latin1')
  head.writeUInt16LE(header.length, 8)
  return Buffer.concat([head, Buffer.from(header, 'latin1'), bytes])
}
