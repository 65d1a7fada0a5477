/**
 * Runs one command of a suite: shows its output as it comes, keeps it for counting, and ends it with all its
 * children when it takes too long.
 */
import { spawn } from 'node:child_process'
import { performance } from 'node:perf_hooks'

/**
 * @param {string} command
 * @param {readonly string[]} args
 * @param {number} timeoutMs
 * @returns {Promise<{ ok: boolean, output: string, note: string }>} never rejects: a command that cannot start has failed
 */
export function runCommand(command, args, timeoutMs) {
  const started = performance.now()
  return new Promise((resolve) => {
    // Its own process group, so that a time-out ends servers and workers the tests started too.
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    const chunks = []
    let note = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        chunks.push(chunk)
        process.stdout.write(chunk)
      })
    }
    const timer = setTimeout(() => {
      note = `ended after ${Math.round((performance.now() - started) / 1000)} s`
      endGroup(child.pid)
    }, timeoutMs)
    const finish = (ok) => {
      clearTimeout(timer)
      resolve({ ok, output: Buffer.concat(chunks).toString('utf8'), note })
    }
    child.on('error', (error) => {
      note = error.message
      finish(false)
    })
    child.on('close', (code, signal) => {
      if (signal !== null && note === '') note = `ended by ${signal}`
      finish(code === 0)
    })
  })
}

function endGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // The group ended by itself in the meantime.
  }
}
