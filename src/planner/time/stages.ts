/** Layers of each kind on each pipeline rank, as numbers; which layers lie where is `layout.ts`. */
import { chunksOf } from '../layout.js'
import type { Layout, Model } from '../types.js'

export function kindsOfStages(
  model: Model,
  layout: Pick<Layout, 'pp' | 'vpp' | 'stageLayers'>,
): readonly (readonly number[])[] {
  const counts = Array.from({ length: layout.pp }, () => Array<number>(model.kinds.length).fill(0))
  for (const { stage, firstLayer, layers } of chunksOf(model, layout)) {
    for (let layer = firstLayer; layer < firstLayer + layers; layer += 1) counts[stage]![model.layerKinds[layer]!]! += 1
  }
  return counts
}

/**
 * Layers of each rank when the output projection is weighed as layers are: what Nanotron does by itself
 * (`PipelineEngine`, blocks by their compute cost). `layerWeights` is one layer's parameters.
 */
export function balancedLayers(
  layers: number,
  pp: number,
  headWeights: number,
  layerWeights: number,
): readonly number[] {
  const head = headWeights / layerWeights
  const each = (layers + head) / pp
  const last = Math.max(1, Math.min(layers - pp + 1, Math.round(each - head)))
  const left = layers - last
  const inner = pp - 1
  return [...Array.from({ length: inner }, (_, i) => Math.floor(left / inner) + (i < left % inner ? 1 : 0)), last]
}
