/**
 * Packs one window of documents in a worker.
 */
import { packWindow } from '../kernels/packing.js'
import type { PackResult, PackTask } from './task.js'

export function runPackTask({ pack, shards, from, to, prefix }: PackTask): PackResult {
  return { kind: 'pack', window: packWindow(pack, shards, { from, to }, prefix) }
}
