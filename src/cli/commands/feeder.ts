/** `gristmill feeder`: the process that the Python loader starts to run a pipeline. Nobody types it. */
import { serveFeed } from '../../pipeline/feeder.js'
import { memoryBytes } from '../flags.js'
import type { FeederFlags } from '../program.js'

export async function feeder(file: string, flags: FeederFlags): Promise<number> {
  const bytes = memoryBytes(flags)
  await serveFeed(file, {
    socket: flags.socket,
    taskBytes: flags.taskBytes,
    ...(flags.cache !== undefined && { cache: { folder: flags.cache, bytes: flags.cacheBytes } }),
    ...(flags.seqLen !== undefined && { sequenceLength: flags.seqLen }),
    ...(flags.workers !== undefined && { workers: flags.workers }),
    ...(bytes !== undefined && { memoryBytes: bytes }),
    ...(flags.set && { set: flags.set }),
  })
  return 0
}
