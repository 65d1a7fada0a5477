/** docs/quarantine.md lists exactly the codes that readers give. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')

test('every code that a reader gives is documented, and no other', () => {
  const documented = [...read('docs/quarantine.md').matchAll(/^\| `([a-z0-9-]+)` \|/gm)].map(([, code]) => code!)
  const keys = ['file', 'offset', 'length', 'code', 'reason']
  const sources = [...files('crates/kernels/src/formats', '.rs'), ...files('src/sources', '.ts')].map(read).join('\n')
  const given = sources.matchAll(
    /["']((?:utf8|truncated|corrupt|npy)|(?:json|text|csv|column|record|integer|token|parquet|arrow|mds|tar|webdataset|tfrecord|megatron)-[a-z-]+)["']/g,
  )
  const codes = new Set([...given].map(([, code]) => code!))
  expect([...new Set(documented.filter((code) => !keys.includes(code)))].sort()).toEqual([...codes].sort())
})

function files(folder: string, extension: string): string[] {
  const found = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
  return found.filter((path) => path.endsWith(extension) && !/\btests?\./.test(path)).map((path) => join(folder, path))
}

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}
