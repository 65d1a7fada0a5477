/** `gristmill inspect`: what a run directory holds. */
import { openStores } from '../../io/stores.js'
import { decodeSequences } from '../../observe/decode.js'
import { inspectRun, type Inspection } from '../../observe/inspect.js'
import type { ByteStore } from '../../io/store.js'
import { type Console, createConsole } from '../console.js'
import { findTokenizer } from '../find-tokenizer.js'
import { printable, renderInspection, renderSequences } from '../inspection.js'
import { firstRows } from '../preview.js'
import type { InspectFlags } from '../program.js'

export async function inspect(folder: string, flags: InspectFlags): Promise<number> {
  const output = createConsole(flags)
  const stores = openStores()
  try {
    const store = await stores.open(folder)
    const inspection = await inspectRun(store)
    output.object(inspection)
    if (flags.decode === undefined || inspection.state === 'unfinished') {
      output.result(renderInspection(inspection, folder, output.paint))
    } else {
      await showFirst(store, inspection, flags.decode, folder, flags.tokenizer, output)
    }
    return 0
  } finally {
    stores.close()
  }
}

type Finished = Extract<Inspection, { state: 'finished' }>

/** Sequences or documents of token shards, rows of the others. */
async function showFirst(
  store: ByteStore,
  { manifest }: Finished,
  count: number,
  folder: string,
  tokenizerPath: string | undefined,
  output: Console,
): Promise<void> {
  if (manifest.shards.every((shard) => shard.tokens === undefined)) {
    for await (const row of firstRows(store, manifest, count)) {
      output.object({ event: 'row', row })
      output.result(printable(JSON.stringify(row)))
    }
    return
  }
  using tokenizer = findTokenizer(manifest, folder, tokenizerPath)
  const sequences = await decodeSequences(store, manifest, tokenizer, count)
  for (const sequence of sequences) output.object({ event: 'sequence', ...sequence })
  output.result(renderSequences(sequences, output.paint))
}
