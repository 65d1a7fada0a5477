/** `gristmill cache`: what a cache of arrays holds; prunes and verifies it. */
import { formatBytes, formatCount, formatPercent } from '../../core/units.js'
import { Cache, type CacheContents } from '../../kernels/cache.js'
import { createConsole } from '../console.js'
import type { Paint } from '../paint.js'
import type { CacheFlags } from '../program.js'
import { renderColumns } from '../table.js'

export function cache(folder: string, { prune, verify, ...flags }: CacheFlags): Promise<number> {
  const output = createConsole(flags)
  const opened = Cache.existing(folder)
  const damaged = verify === true ? opened.verify() : undefined
  if (prune !== undefined) opened.prune(prune)
  const contents = opened.contents()
  output.object({ folder, ...contents, ...(damaged !== undefined && { damaged }) })
  output.result(render(contents, damaged, output.paint))
  return Promise.resolve(0)
}

function render(contents: CacheContents, damaged: number | undefined, paint: Paint): string {
  const { disk, shared, memoryHits, sharedHits, diskHits, misses, evictions, corrupt, refused, failedWrites } = contents
  const entries = (level: { entries: number; bytes: number }): string[] => [
    formatCount(level.entries),
    paint.dim(`${level.entries === 1 ? 'entry' : 'entries'}, ${formatBytes(level.bytes)}`),
  ]
  const hits = memoryHits + sharedHits + diskHits
  const levels = `${formatCount(memoryHits)} from memory, ${formatCount(sharedHits)} from shared memory, ${formatCount(diskHits)} from disk`
  const rows = [
    ['disk', ...entries(disk)],
    ...(shared ? [['shared memory', ...entries(shared)]] : []),
    ['hits', formatCount(hits), paint.dim(levels)],
    [
      'misses',
      formatCount(misses),
      paint.dim(`${formatPercent(hits / Math.max(1, hits + misses))} of requests were hits`),
    ],
    ['evictions', formatCount(evictions), paint.dim('removed to make room')],
    [
      'not stored',
      formatCount(refused + failedWrites),
      paint.dim(`${formatCount(failedWrites)} because writing failed`),
    ],
    [
      'damaged',
      formatCount(corrupt),
      paint.dim(`found and removed${damaged === undefined ? '' : `, ${formatCount(damaged)} of them now`}`),
    ],
  ]
  return renderColumns(rows, ['left', 'right', 'left'])
}
