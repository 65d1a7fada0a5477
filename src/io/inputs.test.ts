import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import fc from 'fast-check'
import { glob } from 'tinyglobby'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { testFolder } from '../../test/folder.js'
import { startS3, type S3Server } from '../../test/servers/s3.js'
import { GristmillError } from '../core/errors.js'
import type { ByteStores } from './store.js'
import { openStores } from './stores.js'
import { listInputs } from './inputs.js'

const stores = openStores()
/** Extensions of a source that states no format. */
const DATA = ['.jsonl', '.parquet', '.csv', '.txt']
let root: string
/** The folder of the configuration; `root` above it is for paths that start with `../`. */
let base: string

beforeEach(async () => {
  root = testFolder('list [1]')
  base = join(root, 'project')
  await mkdir(base)
})

async function files(...names: string[]): Promise<void> {
  for (const name of names) {
    await mkdir(dirname(join(base, name)), { recursive: true })
    await writeFile(join(base, name), name)
  }
}

async function check(paths: string | string[], expected: string[], extensions = DATA): Promise<void> {
  const listed = await listInputs([paths].flat(), base, extensions, stores)
  expect(listed.map(({ path }) => path)).toEqual(expected)
}

interface Refusal {
  readonly message: string
  readonly hint?: string
  readonly code?: string
}

/** Checks the whole message, with the configuration's folder written as BASE. */
async function refuses(paths: string | string[], expected: Refusal, extensions = DATA): Promise<void> {
  const error = await listInputs([paths].flat(), base, extensions, stores).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(GristmillError)
  const { code, message, hint } = error as GristmillError
  expect({ code, message: message.replaceAll(base, 'BASE') }).toEqual({
    code: expected.code ?? 'GM_INPUT_NONE',
    message: expected.message,
  })
  if (expected.hint !== undefined) expect(hint).toBe(expected.hint)
}

test('a file carries its path, address, size and fingerprint', async () => {
  await files('data/a b.jsonl')
  await writeFile(join(base, 'data/empty.jsonl'), '')
  const url = join(base, 'data/a b.jsonl')
  const { mtimeNs } = await stat(url, { bigint: true })
  const [file, empty] = await listInputs(['data'], base, DATA, stores)
  expect(file).toEqual({ path: 'data/a b.jsonl', url, size: 14, fingerprint: `14-${mtimeNs}` })
  expect(empty).toMatchObject({ path: 'data/empty.jsonl', size: 0 })
})

describe('what a path takes', () => {
  test('a file that is named is taken whatever its extension', async () => {
    await files('.hidden/_x.weird', 'b[1].jsonl', 'b1.jsonl')
    await check('.hidden/_x.weird', ['.hidden/_x.weird'], ['.jsonl'])
    await check('b[1].jsonl', ['b[1].jsonl']) // It exists, so it is no glob.
    await rm(join(base, 'b[1].jsonl'))
    await check('b[1].jsonl', ['b1.jsonl'])
  })

  test('a folder gives the data files below it, without hidden ones and what writers leave', async () => {
    const data = ['d/a.jsonl', 'd/b.JSONL.zst', 'd/e/c.parquet', 'd/e/f/g.csv.gz', 'd/h.txt']
    await files(...data, 'd/_SUCCESS', 'd/.x.jsonl', 'd/_temporary/0.jsonl', 'd/.git/a.txt', 'd/read.me', 'd/noext')
    await check('d', data)
    await check('d/', data)
    await check('./d/e/../', data)
    await check(join(base, 'd'), data)
    await check('d', ['d/a.jsonl', 'd/b.JSONL.zst'], ['.jsonl'])
    await check('.', data)
  })

  test('a glob takes what it matches; without an extension of its own, only data', async () => {
    await files(
      'a.jsonl',
      'a.log',
      'd/b.jsonl',
      'd/e/c.jsonl',
      'd/e/c.parquet',
      'd/.x.jsonl',
      'd/.y/z.jsonl',
      'd/n\nl.jsonl',
    )
    await check('*.jsonl', ['a.jsonl'])
    await check('**/*.jsonl', ['a.jsonl', 'd/b.jsonl', 'd/e/c.jsonl', 'd/n\nl.jsonl'])
    await check('d/**/*.{parquet,jsonl}', ['d/b.jsonl', 'd/e/c.jsonl', 'd/e/c.parquet', 'd/n\nl.jsonl'])
    await check('d/?.jsonl', ['d/b.jsonl'])
    await check('d/*/c.*', ['d/e/c.jsonl', 'd/e/c.parquet'])
    await check('d/.*.jsonl', ['d/.x.jsonl'])
    await check('d/.*/*.jsonl', ['d/.y/z.jsonl'])
    await check('*.log', ['a.log'], ['.jsonl'])
    await check('*', ['a.jsonl'], ['.jsonl'])
    await check('**', ['a.jsonl', 'd/b.jsonl', 'd/e/c.jsonl', 'd/n\nl.jsonl'], ['.jsonl'])
    await check('d/**.parquet', ['d/e/c.parquet']) // picomatch lets `**` cross folders here too, unlike a shell.
    await check('d/!(b).jsonl', ['d/n\nl.jsonl']) // Nor does picomatch leave `.x.jsonl` out, but we do.
    await check('!(b).jsonl', ['a.jsonl'])
    await check('d/e/c.@(jsonl|parquet)', ['d/e/c.jsonl', 'd/e/c.parquet'])
  })

  test('standard input is itself', async () => {
    expect(await listInputs(['-'], base, DATA, stores)).toEqual([
      { path: '-', url: '-', size: 0, fingerprint: 'stdin' },
    ])
  })
})

test('paths are relative to the configuration, absolute ones too', async () => {
  await files('../other/x.jsonl', 'y.jsonl')
  await check(['../other/*.jsonl', 'y.jsonl'], ['../other/x.jsonl', 'y.jsonl'])
  await check(join(root, 'other/*.jsonl').replace('[1]', '\\[1\\]'), ['../other/x.jsonl'])
})

test('a file matched twice is one file, and the order is that of UTF-8 bytes', async () => {
  await files('d/\u{1f600}.jsonl', 'd/\uff01.jsonl', 'd/B.jsonl', 'd/a.jsonl', 'd/a/b.jsonl', 'd/a-b.jsonl')
  const sorted = ['d/B.jsonl', 'd/a-b.jsonl', 'd/a.jsonl', 'd/a/b.jsonl', 'd/\uff01.jsonl', 'd/\u{1f600}.jsonl']
  await check(['d/a.jsonl', 'd', './d/../d/**/*.jsonl', join(base, 'd/a.jsonl')], sorted)
})

test('`!` takes files out, wherever it stands', async () => {
  await files('d/a.jsonl', 'd/test/b.jsonl', 'd/test/c.jsonl', 'e.jsonl')
  await check(['!d/test/b*', 'd/**/*.jsonl'], ['d/a.jsonl', 'd/test/c.jsonl'])
  await check(['**/*.jsonl', '!d/test', '!e.jsonl'], ['d/a.jsonl'])
  await check(['**/*.jsonl', '!/**/test/*', '!d/'], ['e.jsonl'])
  await refuses(['d', '!d'], { message: 'no input: the patterns with `!` take out every file' })
})

test('links are followed, and cycles of them end', async () => {
  await files('d/a.jsonl', 'e/b.jsonl')
  await symlink('../e', join(base, 'd/to-e'))
  await symlink('../d', join(base, 'e/to-d'))
  await symlink('a.jsonl', join(base, 'd/link.jsonl'))
  const expected = ['d/a.jsonl', 'd/link.jsonl', 'd/to-e/b.jsonl']
  await check('d', expected)
  await check('d/**/*.jsonl', expected)
  await check('d/to-e/b.jsonl', ['d/to-e/b.jsonl'])
})

describe('nothing found', () => {
  test('a file that is not there', async () => {
    await files('data/corpus.jsonl')
    await refuses('data/corpsu.jsonl', {
      message: "there is no 'data/corpsu.jsonl': no 'corpsu.jsonl' in BASE/data",
      hint: "did you mean 'corpus.jsonl'?",
    })
    await refuses('dta/deep/x.jsonl', {
      message: "there is no 'dta/deep/x.jsonl': no 'dta' in BASE",
      hint: "did you mean 'data'?",
    })
    await refuses('zzz', { message: "there is no 'zzz': no 'zzz' in BASE" })
    await refuses('data/corpus.jsonl/x', {
      message: "there is no 'data/corpus.jsonl/x': no 'corpus.jsonl' in BASE/data",
    })
  })

  test('an empty folder, and one without data', async () => {
    await mkdir(join(base, 'empty'))
    await files('logs/a.log', 'logs/b.log', 'logs/c', 'one/x.csv')
    await refuses('empty', { message: 'the folder BASE/empty holds no files' })
    await refuses('logs', {
      message:
        'the folder BASE/logs holds no files of this format, but 3 files of other extensions: 2 .log, 1 without one',
    })
    await refuses(
      'one',
      { message: 'the folder BASE/one holds no files of this format, but 1 file of other extensions: 1 .csv' },
      ['.jsonl'],
    )
  })

  test('a glob that matches nothing', async () => {
    await files('data/a.json', 'data/b.json', 'data/deep/c.json')
    await refuses('data/*.jsonl', {
      message: "the glob 'data/*.jsonl' matches nothing: BASE/data holds 2 other files (2 .json)",
    })
    await refuses('data/**/*.jsonl', {
      message: "the glob 'data/**/*.jsonl' matches nothing: BASE/data holds 3 other files (3 .json)",
    })
    await refuses('dat/*.jsonl', {
      message: "the glob 'dat/*.jsonl' matches nothing: there is no 'dat': no 'dat' in BASE",
      hint: "did you mean 'data'?",
    })
    await refuses(
      'data/*',
      { message: "the glob 'data/*' matched no files of this format, but 2 files of other extensions: 2 .json" },
      ['.csv'],
    )
    await refuses('*.jsonl', { message: "the glob '*.jsonl' matches nothing: BASE holds no files" })
  })

  test('every path that fails is told, at most five in full', async () => {
    await files('here.jsonl')
    await refuses(['a', 'here.jsonl', 'b'], {
      message: "there is no 'a': no 'a' in BASE\nthere is no 'b': no 'b' in BASE",
    })
    const error = await listInputs('abcdefg'.split(''), base, DATA, stores).catch((thrown: unknown) => thrown)
    expect((error as Error).message.split('\n')).toHaveLength(6)
    expect((error as Error).message).toMatch(/and 2 more$/)
    await refuses([], { message: 'no input: `source.paths` is empty' })
  })
})

test('a name that is not UTF-8 is told, and a name with U+FFFD is none', async () => {
  await files('d/fine\ufffd.jsonl')
  await check('d', ['d/fine\ufffd.jsonl'])
  writeFileSync(Buffer.concat([Buffer.from(join(base, 'd/caf')), Buffer.from([0xe9]), Buffer.from('.jsonl')]), '')
  await refuses('d', {
    code: 'GM_IO',
    message: 'the name of BASE/d/caf\ufffd.jsonl is not valid UTF-8, and rows are identified by it',
    hint: 'rename the file (the shell shows the bytes with `ls -b`)',
  })
  await refuses('d/*.jsonl', {
    code: 'GM_IO',
    message: 'the name of BASE/d/caf\ufffd.jsonl is not valid UTF-8, and rows are identified by it',
  })
})

test('a broken link and a pipe are told, not left out', async () => {
  await files('d/a.jsonl')
  await symlink('nowhere', join(base, 'd/broken.jsonl'))
  await refuses('d', {
    code: 'GM_IO',
    message: 'BASE/d/broken.jsonl is listed but cannot be found: a broken link, or it was just deleted',
  })
  await rm(join(base, 'd/broken.jsonl'))
  execFileSync('mkfifo', [join(base, 'd/pipe.jsonl')])
  await refuses('d', { code: 'GM_IO', message: 'BASE/d/pipe.jsonl is no regular file' })
  await refuses('d/pipe.jsonl', { message: 'BASE/d/pipe.jsonl is no regular file', hint: "use '-' for standard input" })
})

test('globs match what tinyglobby matches', async () => {
  const name = fc.constantFrom('a', 'b', 'ab', '.a', 'a.x', 'b.x', 'a.y', 'b c.x')
  const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/'))
  const part = fc.constantFrom('*', '**', 'a', 'a*', '*.x', '?.x', '{a,b}', '[ab]*', '.*', '*.{x,y}', 'b c.x')
  // Patterns end in an extension: without one we take data files only, which tinyglobby knows nothing of.
  const last = fc.constantFrom('*.x', '?.x', '{a,b}.x', 'b c.x', '.*.x', '[ab].{x,y}', '@(a|b).x')
  const pattern = fc.tuple(fc.array(part, { maxLength: 3 }), last).map(([parts, end]) => [...parts, end].join('/'))
  await fc.assert(
    fc.asyncProperty(
      fc.array(path, { minLength: 1, maxLength: 8 }),
      fc.array(pattern, { maxLength: 6 }),
      async (tree, globs) => {
        const here = await mkdtemp(join(root, 'tree-'))
        for (const file of tree) {
          try {
            mkdirSync(dirname(join(here, file)), { recursive: true })
            writeFileSync(join(here, file), '')
          } catch {
            // A file of this tree is already a folder's name, or the other way round.
          }
        }
        for (const one of globs) {
          const theirs = await glob(one, { cwd: here, expandDirectories: false })
          const ours = await listInputs([one], here, DATA, stores).catch(() => [])
          expect(ours.map((file) => file.path).sort(), one).toEqual(theirs.sort())
        }
      },
    ),
    { numRuns: 60 },
  )
}, 60_000)

test('10,000 files in a hundred folders are all listed', async () => {
  for (let folder = 0; folder < 100; folder++) {
    mkdirSync(join(base, `data/${folder}`), { recursive: true })
    for (let i = 0; i < 100; i++) writeFileSync(join(base, `data/${folder}/${i}.jsonl`), '{}')
  }
  expect(await listInputs(['data/**/*.jsonl'], base, ['.jsonl'], stores)).toHaveLength(10_000)
}, 30_000)

describe('object stores', () => {
  let server: S3Server
  let remote: ByteStores
  const environment = { ...process.env }

  beforeAll(async () => {
    server = await startS3()
    Object.assign(process.env, server.env)
    await server.createBucket('corpus')
    remote = openStores()
    const bucket = await remote.open('s3://corpus')
    for (const key of ['d/b c.jsonl', 'd/a.jsonl', 'd/e/f.jsonl.zst', 'd/_SUCCESS', 'd/g.log', 'd2/x.jsonl']) {
      await bucket.write(key, key)
    }
  }, 600_000)

  afterAll(async () => {
    remote?.close()
    await server?.stop()
    process.env = environment
  })

  const at = (key: string): string => `s3://corpus/${key}`

  async function checkRemote(paths: string[], expected: string[], extensions = DATA): Promise<void> {
    const listed = await listInputs(paths, base, extensions, remote)
    expect(listed.map(({ path }) => path)).toEqual(expected.map(at))
    for (const { path, url } of listed) {
      const { store, key } = await remote.locate(url)
      expect(url).toBe(path)
      expect((await store.read(key, 0, 99)).toString()).toBe(relative('/corpus', `/corpus/${key}`))
    }
  }

  test('take keys, prefixes and globs, and the whole address is the path', async () => {
    await checkRemote([at('d/a.jsonl')], ['d/a.jsonl'])
    await checkRemote([at('d')], ['d/a.jsonl', 'd/b c.jsonl', 'd/e/f.jsonl.zst'])
    await checkRemote([at('d/')], ['d/a.jsonl', 'd/b c.jsonl', 'd/e/f.jsonl.zst'])
    await checkRemote([at('d/*.{jsonl,log}'), at('**/x.*')], ['d/a.jsonl', 'd/b c.jsonl', 'd/g.log', 'd2/x.jsonl'])
    await checkRemote([at(''), '!s3://corpus/d'], ['d2/x.jsonl'])
    await checkRemote([at('d/**')], ['d/a.jsonl', 'd/b c.jsonl', 'd/e/f.jsonl.zst'], ['.jsonl'])
  })

  test('hold nothing: the message says where it looked', async () => {
    const listing = (path: string, extensions = DATA): Promise<unknown> =>
      listInputs([at(path)], base, extensions, remote)
    await expect(listing('nowhere')).rejects.toMatchObject({
      code: 'GM_INPUT_NONE',
      message: 's3://corpus/nowhere matches nothing: 0 other objects below s3://corpus/nowhere/',
    })
    await expect(listing('d/*.csv')).rejects.toMatchObject({
      message: 's3://corpus/d/*.csv matches nothing: 5 other objects below s3://corpus/d/',
    })
    await expect(listing('d', ['.csv'])).rejects.toMatchObject({
      code: 'GM_INPUT_NONE',
      message: expect.stringContaining('no files of this format, but 4 files of other extensions: '),
    })
    await expect(listInputs(['s3://absent/x'], base, DATA, remote)).rejects.toMatchObject({ code: 'GM_STORE' })
  })
})
