/** Standard input as a stream of chunks; it works in worker threads too, where `process.stdin` is another stream. */
import { read } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { ioError } from '../core/errors.js'

const CHUNK_BYTES = 1 << 20
/** How long to wait when a non-blocking input has nothing yet. */
const IDLE_MS = 10

const readFrom = promisify(read)

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
