/** What training and serving requests share: the model and the cluster, from options and files. */
import { readConfig } from './config.js'
import { type HardwareTable, hardwareTable, parseGpus, withHardware } from './hardware.js'
import { readJson } from './json-file.js'
import { builtInModel, truncateModel } from './models.js'
import type { ReadOptions } from './options.js'
import { PlanRefusal } from './refusal.js'
import { readShape } from './shape.js'
import type { Cluster, Model } from './types.js'
import { GIB } from './units.js'

/** Where an option's default is noted. */
export class Assumptions {
  readonly names: string[] = []

  /** The given value, or the fallback, noted under `name`. */
  take<T>(name: string, given: T | undefined, fallback: () => NoInfer<T>): T {
    if (given !== undefined) return given
    this.names.push(name)
    return fallback()
  }
}

/** The model of `model`, `config` or `shape`, cut to `layers`. Exactly one of the three must be given. */
export function resolveModel(options: ReadOptions, assumed: Assumptions, folder: string): Model {
  const given = (['model', 'config', 'shape'] as const).filter((name) => options[name] !== undefined)
  if (given.length !== 1) {
    if (given.length === 0) {
      throw new PlanRefusal('there is no model', [
        'name one: --model llama-3-70b, --config config.json or --shape layers=32,hidden=4096,…',
      ])
    }
    throw new PlanRefusal(`${given.join(' and ')} are given together`, ['give one of model, config and shape'])
  }
  const model = modelOf(options, assumed, folder)
  if (options.layers === undefined) return model
  if (options.layers > model.layerKinds.length) {
    throw new PlanRefusal(`layers: ${options.layers} is more than the ${model.layerKinds.length} of ${model.name}`, [
      `layers of at most ${model.layerKinds.length}`,
    ])
  }
  return truncateModel(model, options.layers)
}

function modelOf({ model, config, shape }: ReadOptions, assumed: Assumptions, folder: string): Model {
  if (shape !== undefined) {
    const reading = readShape(shape)
    assumed.names.push(...reading.assumed)
    return reading.model
  }
  if (model !== undefined && !model.endsWith('.json')) return builtInModel(model)
  const option = model === undefined ? 'config' : 'model'
  const { name, json } = readJson(config ?? model!, option, folder)
  return readConfig(json, name)
}

export function resolveHardware({ hardware }: ReadOptions, folder: string): HardwareTable {
  if (hardware === undefined) return hardwareTable()
  const { name, json } = readJson(hardware, 'hardware', folder)
  return withHardware(json, name)
}

/** The cluster of `gpus`, with what the request says of its machines and links. */
export function resolveCluster(options: ReadOptions, folder: string): Cluster {
  if (options.gpus === undefined) throw new PlanRefusal('gpus are not given', ['write them as in --gpus 64xH100'])
  const { gpu, gpus } = parseGpus(options.gpus, resolveHardware(options, folder))
  const gpusPerNode = options.gpusPerNode ?? gpu.gpusPerNode
  // Smaller machines have smaller fast domains, unless the domain spans machines as in an NVL72.
  const spans = gpu.scaleUpGpus > gpu.gpusPerNode
  const scaleUpGpus = options.scaleUp ?? (spans ? gpu.scaleUpGpus : Math.min(gpu.scaleUpGpus, gpusPerNode))
  return {
    gpu,
    gpus,
    gpusPerNode,
    scaleUpGpus,
    interGbs: options.interGbs ?? gpu.scaleOut.gbs,
    hbmBytes: options.hbmGib === undefined ? gpu.hbmBytes : options.hbmGib * GIB,
  }
}

/** Options of a cluster as `inputs` shows them. */
export function clusterInputs({ gpu, gpus, gpusPerNode, scaleUpGpus, interGbs, hbmBytes }: Cluster): object {
  return {
    gpus: `${gpus}x${gpu.name}`,
    hbmGib: Number((hbmBytes / GIB).toFixed(2)),
    gpusPerNode,
    scaleUp: scaleUpGpus,
    interGbs,
  }
}
