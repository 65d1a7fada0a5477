/**
 * The documents keep their word: every example runs, every link leads somewhere, every generated part is
 * what the tables say.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { readPage, readPages, ROOT } from './docs/pages.js'
import { runPage } from './docs/run-page.js'
import { makeTemplate, makeWorkspace } from './docs/workspace.js'

const pages = readPages()

describe('examples', () => {
  let template: string
  beforeAll(() => {
    template = makeTemplate()
  })

  test.each(pages.filter(({ blocks }) => blocks.length > 0))('$name', { timeout: 300_000 }, (page) => {
    runPage(page, makeWorkspace(template))
  })

  test('a block that nothing runs is an error', () => {
    const check = (markdown: string): void => runPage(readPage('page.md', markdown), template)
    expect(() => check('```rust\nfn main() {}\n```')).toThrow("page.md:1: a block of 'rust' is never run")
    expect(() => check('```\ngristmill steps\n```')).toThrow('is a command')
    expect(() => check('```ts\nexport default 1\n```')).toThrow('the first line must name the file')
    expect(() => check('<!-- skip -->\n```sh\nfalse\n```')).toThrow('is no directive')
    expect(() => check('```sh\nfalse\n```')).toThrow('exit code 1, expected 0')
    check('<!-- not run: needs a bucket -->\n```sh\nfalse\n```')
    check('<!-- exit: 1 -->\n```sh\nfalse\n```')
  })
})

test('generated parts are what the tables say', () => {
  const { status, stderr } = spawnSync('script/docs', ['--check'], { cwd: ROOT, encoding: 'utf8' })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
})

describe('links', () => {
  const anchors = new Map(pages.map((page) => [page.name, page.anchors]))

  test.each(pages)('$name', ({ name, links }) => {
    const broken = links.filter(({ target }) => {
      if (/^[a-z]+:/u.test(target)) return false
      const [file, anchor] = target.split('#') as [string, string | undefined]
      const linked = file === '' ? name : path.join(path.dirname(name), file)
      if (!existsSync(path.join(ROOT, linked))) return true
      return anchor !== undefined && anchors.has(linked) && !anchors.get(linked)!.has(anchor)
    })
    expect(broken).toEqual([])
  })
})
