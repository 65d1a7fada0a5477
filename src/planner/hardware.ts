/**
 * The table of accelerators: reading it, reading a user's own, finding a record by the names people use.
 *
 * Figures are in `data/hardware.json`, each record with its sources: dense peaks, capacity as the driver reports it,
 * links in one direction for each accelerator. Latencies of links are those NCCL's tuning model starts from
 * (src/graph/tuning.cc). What a figure means for time or memory is not decided here.
 */
import { z } from 'zod'
import { nearest } from '../core/errors.js'
import { PlanRefusal } from './refusal.js'
import { shippedData } from './shipped-data.js'
import type { Gpu, PeakDtype } from './types.js'
import { GIB, MIB } from './units.js'

const positive = z.number().positive()
const LinkRecord = z.strictObject({
  kind: z.enum(['nvlink', 'xgmi', 'pcie', 'ici', 'infiniband', 'roce', 'ethernet']),
  gbs: positive,
  latencyUs: positive,
})
const PEAK_DTYPES = ['fp32', 'tf32', 'fp16', 'bf16', 'fp8', 'int8', 'fp4'] as const satisfies readonly PeakDtype[]

/** One record of a hardware file; `like` names a record whose figures stand for what is left out. */
const HardwareRecord = z.strictObject({
  name: z.string().min(1),
  aliases: z.array(z.string()).default([]),
  vendor: z.string().min(1),
  hbmGib: positive,
  hbmGbs: positive,
  peakTflops: z.strictObject(Object.fromEntries(PEAK_DTYPES.map((dtype) => [dtype, positive.optional()]))),
  computeUnits: z.int().positive(),
  l2MiB: positive,
  scaleUp: LinkRecord,
  scaleUpGpus: z.int().positive(),
  gpusPerNode: z.int().positive(),
  scaleOut: LinkRecord,
  hostGbs: positive,
  powerWatts: positive,
  sources: z.array(z.string().min(1)).min(1),
})
type HardwareRecord = z.infer<typeof HardwareRecord>

export interface HardwareTable {
  readonly gpus: readonly Gpu[]
  /** Folded names and aliases. */
  readonly byName: ReadonlyMap<string, Gpu>
}

let builtIn: { readonly records: readonly HardwareRecord[]; readonly table: HardwareTable } | undefined

/** The table that comes with the planner. */
export function hardwareTable(): HardwareTable {
  return shipped().table
}

function shipped(): NonNullable<typeof builtIn> {
  if (builtIn === undefined) {
    const records = recordsOf(shippedData('hardware.json'), 'data/hardware.json')
    builtIn = { records, table: tableOf(records) }
  }
  return builtIn
}

/**
 * Records of a user's file, before the built-in ones: one object or a list, in the form of `data/hardware.json`.
 *
 * A record with `like` takes what it leaves out from the record of that name; it must still state its `sources`.
 * Throws `PlanRefusal` naming record and field.
 */
export function withHardware(json: unknown, file: string): HardwareTable {
  const base = hardwareTable()
  const list = Array.isArray(json) ? (json as unknown[]) : [json]
  const own = tableOf(
    recordsOf(
      list.map((record) => completed(record, file)),
      file,
    ),
  )
  return { gpus: [...own.gpus, ...base.gpus], byName: new Map([...base.byName, ...own.byName]) }
}

function completed(record: unknown, file: string): unknown {
  if (typeof record !== 'object' || record === null || !('like' in record)) return record
  const { like, ...own } = record as { like: unknown } & Record<string, unknown>
  const name = hardwareTable().byName.get(folded(String(like)))?.name
  const source = shipped().records.find((known) => known.name === name)
  if (source === undefined) {
    throw new PlanRefusal(
      `${file}: like '${String(like)}' is no accelerator of the table`,
      suggestionsFor(String(like)),
    )
  }
  // Names are the record's own: two records must not answer to one alias.
  return { ...source, aliases: [], sources: undefined, ...own }
}

function recordsOf(json: unknown, file: string): readonly HardwareRecord[] {
  const parsed = z.array(HardwareRecord).safeParse(json)
  if (parsed.success) return parsed.data
  const many = Array.isArray(json) && json.length > 1
  const faults = parsed.error.issues.map(({ path: [at, ...field], message }) => {
    return `${many ? `record ${Number(at) + 1}, ` : ''}${field.join('.') || 'record'}: ${message}`
  })
  throw new PlanRefusal(`${file}: ${faults.slice(0, 5).join('; ')}`, [
    'write the fields of the built-in table, or start from one of its records: {"like": "H100-SXM", "name": "H100-96G", "hbmGib": 94.5, "sources": ["vendor data sheet"]}',
  ])
}

function tableOf(records: readonly HardwareRecord[]): HardwareTable {
  const byName = new Map<string, Gpu>()
  const gpus = records.map((record) => {
    const gpu = gpuOf(record)
    for (const name of [record.name, ...record.aliases]) byName.set(folded(name), gpu)
    return gpu
  })
  return { gpus, byName }
}

function gpuOf({ aliases: _aliases, hbmGib, l2MiB, ...record }: HardwareRecord): Gpu {
  const peaks = Object.entries(record.peakTflops).filter(([, peak]) => peak !== undefined)
  return {
    ...record,
    peakTflops: Object.fromEntries(peaks) as Gpu['peakTflops'],
    hbmBytes: hbmGib * GIB,
    l2Bytes: l2MiB * MIB,
  }
}

/** One spelling for many: `NVIDIA H100 SXM5 80GB`, `h100-sxm-80g`. */
function folded(name: string): string {
  return name
    .toLowerCase()
    .replace(/nvidia|amd|google|tesla|geforce|instinct/g, '')
    .replace(/hbm\d?e?/g, '')
    .replace(/(\d+)\s*gi?b\b/g, '$1g')
    .replace(/sxm\d/g, 'sxm')
    .replace(/[^a-z0-9]/g, '')
}

/** The accelerator of that name; throws `PlanRefusal` with the nearest names. */
export function findGpu(name: string, table: HardwareTable = hardwareTable()): Gpu {
  const gpu = table.byName.get(folded(name))
  if (gpu !== undefined) return gpu
  throw new PlanRefusal(`'${name}' is no accelerator of the hardware table`, suggestionsFor(name, table))
}

function suggestionsFor(name: string, table: HardwareTable = hardwareTable()): string[] {
  const wanted = folded(name)
  const near = nearest(wanted, table.byName.keys())
  const alike = table.gpus
    .map((gpu) => gpu.name)
    .filter((known) => wanted.length > 1 && (folded(known).includes(wanted) || wanted.includes(folded(known))))
  const close = [...new Set([...(near === undefined ? [] : [table.byName.get(near)!.name]), ...alike])]
  const names = close.length > 0 ? close : table.gpus.map((gpu) => gpu.name)
  return [
    `${close.length > 0 ? 'did you mean' : 'known are'} ${names.join(', ')}${close.length > 0 ? '?' : ''}`,
    'describe your own with --hardware FILE.json',
  ]
}

/** `64xH100-SXM` as a count and a record; a bare count takes the only record of a user's own file. */
export function parseGpus(text: string, table: HardwareTable = hardwareTable()): { gpus: number; gpu: Gpu } {
  const match = /^\s*(\d+)\s*(?:[x×*]\s*(.+?))?\s*$/iu.exec(text)
  const gpus = Number(match?.[1])
  if (match === null || !(gpus >= 1) || gpus > 1_000_000) {
    const known = table.byName.has(folded(text))
    throw new PlanRefusal(`gpus: '${text}' is not a count and a name`, [
      known ? `write 1x${text.trim()}` : 'write it as in 64xH100 or 16xA100-40G',
    ])
  }
  const name = match[2]
  if (name !== undefined) return { gpus, gpu: findGpu(name, table) }
  const own = table.gpus.slice(0, table.gpus.length - hardwareTable().gpus.length)
  if (own.length === 1) return { gpus, gpu: own[0]! }
  throw new PlanRefusal(`gpus: '${text}' names no accelerator`, [`write it as in ${gpus}xH100`])
}
