/**
 * Standard input as a stream of chunks; it works in worker threads too, where `process.stdin` is another stream.
 *
 * It can be read only once, so what planning takes from it to find out columns travels on with the file to
 * the thread that cuts it.
 */
import { read } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { ioError } from '../core/errors.js'
import type { InputFile } from './source.js'

const CHUNK_BYTES = 1 << 20
/** How much planning takes, or less when the input ends first. */
const HEAD_BYTES = 1 << 20
/** How long to wait when a non-blocking input has nothing yet. */
const IDLE_MS = 10

const readFrom = promisify(read)

/** Standard input with the bytes that were already taken from it. */
export interface StandardInput extends InputFile {
  readonly head: Uint8Array
}

let head: Promise<Buffer> | undefined

/** The start of standard input; the same bytes until somebody takes them. */
export function peekStandardInput(signal: AbortSignal): Promise<Buffer> {
  head ??= readHead(signal)
  return head
}

/** Whether that start is all there is. */
export async function isAllOfStandardInput(signal: AbortSignal): Promise<boolean> {
  return (await peekStandardInput(signal)).length < HEAD_BYTES
}

/** The file with the start of standard input, which whoever reads on must take first. */
export async function takeStandardInput(file: InputFile, signal: AbortSignal): Promise<StandardInput> {
  const taken = await peekStandardInput(signal)
  head = undefined
  return { ...file, head: taken }
}

async function readHead(signal: AbortSignal): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of standardInput(signal)) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes >= HEAD_BYTES) break
  }
  return Buffer.concat(chunks)
}

/** What is left of standard input. */
export async function* standardInput(signal: AbortSignal): AsyncGenerator<Buffer> {
  for (;;) {
    signal.throwIfAborted()
    const chunk = await readSome(signal)
    if (chunk.length === 0) return
    yield chunk
  }
}

async function readSome(signal: AbortSignal): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
  for (;;) {
    try {
      const { bytesRead } = await readFrom(0, buffer, 0, CHUNK_BYTES, null)
      return buffer.subarray(0, bytesRead)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EOF') return buffer.subarray(0, 0)
      if (code !== 'EAGAIN') throw ioError('read standard input', error)
      await sleep(IDLE_MS, undefined, { signal })
    }
  }
}
