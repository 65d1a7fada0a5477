/** Compresses for tests: Node has no zstd before version 22.15, so pyarrow does it. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

const PYTHON = join(import.meta.dirname, '../.venv/bin/python')

/** One zstd frame whose header carries the content size. */
export function zstdFrame(content: string | Uint8Array): Buffer {
  return python('import pyarrow as pa; write(pa.compress(read(), codec="zstd", asbytes=True))', content)
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
