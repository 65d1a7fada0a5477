/**
 * A real S3 server for tests: versitygw over a temporary folder, on a free port of this machine.
 *
 * It is built once by Go's own tool into `.cache/`; `script/setup` does the same ahead of time.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { testFolder } from '../folder.js'

const PACKAGE = 'github.com/versity/versitygw/cmd/versitygw'
const VERSION = 'v1.8.0'
const FOLDER = fileURLToPath(new URL(`../../.cache/versitygw-${VERSION}`, import.meta.url))
const READY_WITHIN_MS = 20_000

export interface S3Server extends AsyncDisposable {
  readonly port: number
  /** What a client needs to reach it, for `process.env` or a child process. */
  readonly env: Readonly<Record<string, string>>
  /** Where the server keeps its buckets, a folder each, and their objects as files. */
  readonly folder: string
  createBucket(name: string): Promise<void>
  stop(): Promise<void>
}

/** Starts a server with no buckets. Stop it, or `await using` it: its process ends then. */
export async function startS3(): Promise<S3Server> {
  const binary = await installS3()
  const root = testFolder('s3')
  const [folder, sidecar] = [join(root, 'buckets'), join(root, 'metadata')]
  await mkdir(folder)
  await mkdir(sidecar) // Temporary folders often lie on file systems without extended attributes.
  const port = await freePort()
  const [access, secret] = ['test-access', 'test-secret']
  const args = ['--port', `127.0.0.1:${port}`, '--access', access, '--secret', secret, '--quiet', '--keep-alive']
  const child = spawn(binary, [...args, 'posix', '--sidecar', sidecar, folder], { stdio: ['ignore', 'pipe', 'pipe'] })
  const stop = (): Promise<void> => end(child)
  try {
    await ready(child, port)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    port,
    folder,
    env: {
      AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${port}`,
      AWS_ACCESS_KEY_ID: access,
      AWS_SECRET_ACCESS_KEY: secret,
      AWS_REGION: 'us-east-1',
      AWS_EC2_METADATA_DISABLED: 'true',
    },
    createBucket: (name) => mkdir(join(folder, name)),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** The server's binary, built when it is not there yet. */
export async function installS3(): Promise<string> {
  const binary = join(FOLDER, 'versitygw')
  if (
    await access(binary).then(
      () => true,
      () => false,
    )
  )
    return binary
  await mkdir(FOLDER, { recursive: true })
  try {
    await promisify(execFile)('go', ['install', `${PACKAGE}@${VERSION}`], { env: { ...process.env, GOBIN: FOLDER } })
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    const reason = missing ? 'Go is not installed' : (cause as Error).message
    throw new Error(`the S3 tests need versitygw, which could not be built: ${reason}. Run script/setup.`, { cause })
  }
  return binary
}

async function ready(child: ChildProcess, port: number): Promise<void> {
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => (output += String(text)))
  const failed = once(child, 'error').then(([error]) => (output += String(error)))
  const deadline = Date.now() + READY_WITHIN_MS
  while (Date.now() < deadline && child.exitCode === null && child.pid !== undefined) {
    const answered = await fetch(`http://127.0.0.1:${port}/`).then(
      () => true,
      () => false,
    )
    if (answered) return
    await setTimeout(20)
  }
  if (child.pid === undefined) await failed
  throw new Error(`versitygw did not get ready on port ${port} (exit ${child.exitCode}): ${output}`)
}

/** Ends the process that this file started, by its own id. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no TCP port')
  return address.port
}
