import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { BIN, gristmill, temporaryFolder } from '../../test/cli.js'

const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as {
  version: string
}

/** Standard error of a usage error, which must exit with 2 and print nothing else. */
async function usageError(...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await gristmill(args, { cwd: temporaryFolder() })
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
  return stderr
}

test('prints its version', async () => {
  expect(await gristmill(['--version'])).toEqual({ exitCode: 0, stdout: `${version}\n`, stderr: '' })
})

test('starts without the parts that commands load', () => {
  const seen = new Set<string>()
  const packages = new Set<string>()
  const walk = (file: string): void => {
    if (seen.has(file)) return
    seen.add(file)
    for (const [, name] of readFileSync(file, 'utf8').matchAll(/^(?:import|export)[^'"]*?from ["']([^"']+)["']/gm)) {
      if (name!.startsWith('.')) walk(join(dirname(file), name!))
      else packages.add(name!)
    }
  }
  walk(join(import.meta.dirname, '../../dist/cli/main.js'))
  expect([...packages].filter((name) => !name.startsWith('node:'))).toEqual(['commander'])
  expect([...seen].filter((file) => file.includes('native'))).toEqual([])
})

test('a misspelt command or flag is answered with the nearest one', async () => {
  expect(await usageError('rn')).toBe("error GM_USAGE: unknown command 'rn'\nhint: did you mean run?\n")
  expect(await usageError('run', 'a.yaml', '--wrokers', '3')).toBe(
    "error GM_USAGE: unknown option '--wrokers'\nhint: did you mean --workers?\n",
  )
  expect(await usageError('steps', 'exact-dedupe')).toBe(
    "error GM_USAGE: there is no step, source or sink 'exact-dedupe'\nhint: did you mean exact-dedup?\n",
  )
})

test('without a command it shows help and fails', async () => {
  const { exitCode, stderr } = await gristmill([])
  expect(exitCode).toBe(2)
  expect(stderr).toContain('Usage: gristmill')
})

test.each([
  [['run', 'a.yaml'], 'run needs --out <dir>'],
  [['run'], "missing required argument 'pipeline'"],
  [['run', 'a.yaml', '--out', 'o', '--workers', '0'], "--workers: '0' is not a number between 1 and 1024"],
  [['run', 'a.yaml', '--out', 'o', '--memory', '4'], '--memory: 4 B is less than any run needs'],
  [['run', 'a.yaml', '--out', 'o', '--memory', 'lots'], "--memory: 'lots' is no size"],
  [['run', 'a.yaml', '--out', 'o', '--set', 'name'], "--set: 'name' is not key.path=value"],
  [['run', 'a.yaml', '--out', 'o', '--set', 'a=1', '--set', 'a=2'], "--set: 'a' is given twice"],
  [['inspect', 'runs', '--decode', 'x'], "--decode: 'x' is not a whole number from 1"],
  [['run', 'a.yaml', '--out', 'o', 'b.yaml'], 'too many arguments'],
])('%j is a usage error', async (args, message) => {
  const stderr = await usageError(...args)
  expect(stderr).toMatch(/^error GM_USAGE: .*\nhint: .*\n$/)
  expect(stderr).toContain(message)
})

test('errors name what is wrong, in the same shape everywhere', async () => {
  const missing = await usageError('run', 'nowhere.yaml', '--out', 'o')
  expect(missing).toMatch(/^error GM_CONFIG: there is no pipeline file nowhere.yaml\nhint: /)
  const folder = temporaryFolder()
  for (const command of ['inspect', 'verify']) {
    const { exitCode, stderr } = await gristmill([command, folder])
    expect(exitCode).toBe(2)
    expect(stderr).toBe(
      `error GM_RUN_MISSING: ${folder} is no run directory: it has no manifest.json and no commits/\nhint: pass the directory given to \`gristmill run --out\`\n`,
    )
  }
})

test('with --json an error is an event on standard output', async () => {
  const { exitCode, stdout } = await gristmill(['verify', temporaryFolder(), '--json'])
  expect(exitCode).toBe(2)
  expect(JSON.parse(stdout)).toMatchObject({ event: 'error', code: 'GM_RUN_MISSING', hint: /./ })
})

test('colours: none in a pipe, FORCE_COLOR brings them, --no-color and NO_COLOR take them away', async () => {
  const coloured = async (args: string[], env: Record<string, string>): Promise<boolean> =>
    (await gristmill(['steps', ...args], { env })).stdout.includes('\u001B[')
  expect(await coloured([], {})).toBe(false)
  expect(await coloured([], { FORCE_COLOR: '1' })).toBe(true)
  expect(await coloured(['--no-color'], { FORCE_COLOR: '1' })).toBe(false)
  expect(await coloured([], { FORCE_COLOR: '1', NO_COLOR: '1' })).toBe(false)
})

test('a closed pipe ends the command quietly', () => {
  const shell = `"${process.execPath}" "${BIN}" steps --json 2>&1 | head -c 10`
  expect(execFileSync('bash', ['-o', 'pipefail', '-c', shell], { encoding: 'utf8' })).toHaveLength(10)
})

test('steps shows every step, and its JSON is a schema', async () => {
  const { stdout } = await gristmill(['steps', 'tokenize'])
  expect(stdout).toMatch(/^tokenize: /)
  expect(stdout).toMatch(/tokenizer +string +required/)
  expect(stdout).toContain('- tokenize: { tokenizer: ./tokenizer.json')
  const schema = JSON.parse((await gristmill(['steps', '--json'])).stdout) as { title: string }
  expect(schema.title).toBe('Gristmill pipeline')
})
