/** Compresses for tests: Node has no zstd before version 22.15, so pyarrow does it. */
import { execFileSync } from 'node:child_process'
import { PYTHON } from './oracle.js'

/** One zstd frame whose header carries the content size. */
export function zstdFrame(content: string | Uint8Array): Buffer {
  return zstdFrames([Buffer.from(content)])[0]!
}

/** A zstd frame of each part. */
export function zstdFrames(parts: readonly Uint8Array[]): Buffer[] {
  const code = `
import pyarrow as pa
for size in ${JSON.stringify(parts.map((part) => part.length))}:
    frame = pa.compress(sys.stdin.buffer.read(size), codec="zstd", asbytes=True)
    write(len(frame).to_bytes(4, "little") + frame)`
  const out = python(code, Buffer.concat(parts))
  let at = 0
  return parts.map(() => {
    const from = at + 4
    at = from + out.readUInt32LE(at)
    return out.subarray(from, at)
  })
}

/** One zstd frame whose header carries no content size, as a stream is compressed. */
export function zstdStream(content: string | Uint8Array): Buffer {
  const code = `
import pyarrow as pa
sink = pa.BufferOutputStream()
with pa.CompressedOutputStream(sink, "zstd") as out:
    out.write(read())
write(sink.getvalue())`
  return python(code, content)
}

function python(code: string, content: string | Uint8Array): Buffer {
  const head = 'import sys; read = sys.stdin.buffer.read; write = sys.stdout.buffer.write\n'
  return execFileSync(PYTHON, ['-c', head + code], { input: content, maxBuffer: 1 << 30 })
}
