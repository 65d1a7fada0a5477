/**
 * What a feeder needs of the addon: blocks of packed sequences in anonymous memory, and messages that carry them.
 *
 * The formats are those of crates/kernels/src/feed/live.
 */
import type { NativeBlock, NativeBlockBuilder, NativeBlockCounts, NativeBlockStore } from '../../native/index.js'
import type { Batch } from './batch.js'
import { addon, native } from './native.js'
import type { PackOptions } from './packing.js'

/** Version of the messages and blocks; `PROTOCOL` of the kernel. */
export const FEEDER_PROTOCOL = 1

/** A finished block: a descriptor of its memory, which whoever has it must close, and its length. */
export type Block = Readonly<NativeBlock>
/** Rows that were read, removed and quarantined while a block was made. */
export type BlockCounts = Readonly<NativeBlockCounts>

/** The size assumed of a vocabulary that is not known: ids are then 32 bits. */
const UNKNOWN_VOCABULARY = 2 ** 31 - 1

/** Documents on their way into a block. */
export class BlockBuilder implements Disposable {
  readonly #handle: NativeBlockBuilder

  constructor(vocabularySize: number | undefined) {
    this.#handle = new addon.NativeBlockBuilder(vocabularySize ?? UNKNOWN_VOCABULARY)
  }

  /** Appends the rows of a batch. */
  write(batch: Batch): void {
    native(() => this.#handle.write(batch.handle))
  }

  /** Packs the documents. */
  finish(options: PackOptions, counts: BlockCounts): Block {
    return native(() => this.#handle.finish(JSON.stringify(options), { ...counts }))
  }

  [Symbol.dispose](): void {
    this.#handle.dispose()
  }
}

/** What came of asking for a block: it is there, the asker is the one to make it, or somebody else is. */
export type Claim = 'found' | 'make' | 'busy'

/** Blocks that were made before, by this process or another one of this machine. */
export class BlockStore {
  readonly #handle: NativeBlockStore

  /** Opens the folder, making it when absent; at most `bytes` bytes lie there. */
  constructor(folder: string, bytes: number) {
    this.#handle = native(() => new addon.NativeBlockStore(folder, bytes))
  }

  /** Whether the block of that name is there. */
  has(name: string): boolean {
    return native(() => this.#handle.has(name))
  }

  /** Looks for a block; whoever is told to make it keeps others from doing so, until it stores it or ends. */
  claim(name: string): Claim {
    return native(() => this.#handle.claim(name))
  }

  /** Stores a block that was claimed. Where it does not fit, it is left out. */
  store(name: string, { descriptor }: Block): void {
    native(() => this.#handle.store(name, descriptor))
  }
}

/** Sends a message over a socket, and a descriptor with it; both stay open. */
export function sendMessage(socket: number, message: unknown, descriptor?: number): void {
  native(() => addon.sendLine(socket, JSON.stringify(message), descriptor))
}
