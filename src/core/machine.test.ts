import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { machine } from './machine.js'
import { testFolder } from '../../test/folder.js'

const GIB = 2 ** 30

/** A root folder with these files. */
function root(files: Record<string, string>): string {
  const folder = testFolder('machine')
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
  return folder
}

function check(files: Record<string, string>, cores: number, memoryBytes: number): void {
  const found = machine({ root: root(files), cores: 8, memoryBytes: 16 * GIB })
  expect(found).toEqual({ cores, memoryBytes, memoryBudgetBytes: Math.floor(memoryBytes * 0.7) })
}

test('without control groups the machine is granted whole', () => {
  check({}, 8, 16 * GIB)
})

test('cgroup v2: quota and limit bind', () => {
  const files = { 'sys/fs/cgroup/job/cpu.max': '200000 100000\n', 'sys/fs/cgroup/job/memory.max': `${4 * GIB}\n` }
  check({ 'proc/self/cgroup': '0::/job\n', ...files }, 2, 4 * GIB)
})

test('cgroup v2: "max" binds nothing', () => {
  const files = { 'sys/fs/cgroup/cpu.max': 'max 100000\n', 'sys/fs/cgroup/memory.max': 'max\n' }
  check({ 'proc/self/cgroup': '0::/\n', ...files }, 8, 16 * GIB)
})

test("cgroup v2: an ancestor's limit binds", () => {
  const files = { 'sys/fs/cgroup/a/memory.max': `${2 * GIB}`, 'sys/fs/cgroup/a/b/memory.max': `${3 * GIB}` }
  check({ 'proc/self/cgroup': '0::/a/b\n', ...files }, 8, 2 * GIB)
})

test("cgroup v2: in a container the host's path is absent and the root is the group", () => {
  const files = { 'sys/fs/cgroup/cpu.max': '150000 100000', 'sys/fs/cgroup/memory.max': `${GIB}` }
  check({ 'proc/self/cgroup': '0::/system.slice/docker-1.scope\n', ...files }, 2, GIB)
})

test('cgroup v1: controllers mounted apart', () => {
  check(
    {
      'proc/self/cgroup': '5:memory:/docker/1\n4:cpu,cpuacct:/docker/1\n1:name=systemd:/docker/1\n',
      'sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_quota_us': '50000\n',
      'sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_period_us': '100000\n',
      'sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes': `${GIB}\n`,
    },
    1,
    GIB,
  )
})

test('cgroup v1: -1 and the largest number bind nothing', () => {
  check(
    {
      'proc/self/cgroup': '5:memory:/\n4:cpu:/\n',
      'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
      'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    },
    8,
    16 * GIB,
  )
})

test('a limit above the machine does not raise it', () => {
  const files = { 'sys/fs/cgroup/cpu.max': '9900000 100000', 'sys/fs/cgroup/memory.max': `${99 * GIB}` }
  check({ 'proc/self/cgroup': '0::/\n', ...files }, 8, 16 * GIB)
})

test('reads this machine', () => {
  const found = machine()
  expect(found.cores).toBeGreaterThanOrEqual(1)
  expect(found.cores).toBeLessThanOrEqual(availableParallelism())
  expect(found.memoryBytes).toBeLessThanOrEqual(totalmem())
})
