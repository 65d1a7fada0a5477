/**
 * Stages and packs the npm packages with napi-rs's own scheme: one small package a platform holds the addon,
 * and the main package lists them as optional dependencies, so that npm installs the one that fits.
 *
 * Everything happens below `.cache/pack`; the checkout's own `dist` and package.json are left alone, because
 * tests run from them at the same time.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const OUT = '.cache/pack'
const STAGE = join(OUT, 'stage')
const PLATFORMS = join(OUT, 'npm')

const release = process.argv.includes('--release')
const manifest = JSON.parse(readFileSync('package.json', 'utf8'))

rmSync(OUT, { recursive: true, force: true })
mkdirSync(STAGE, { recursive: true })
node('@napi-rs/cli/dist/cli.js', ['create-npm-dirs', '--npm-dir', PLATFORMS])
const built = addPlatformAddons()
if (built.length === 0) fail('native/ holds no addon; run script/setup first')
stageMainPackage(release ? readdirSync(PLATFORMS) : built)

for (const folder of [STAGE, ...built.map((platform) => join(PLATFORMS, platform))]) {
  const printed = run('npm', ['pack', '--json', '--loglevel=error', `--pack-destination=${OUT}`, `./${folder}`])
  console.log(join(OUT, packedName(JSON.parse(printed))))
}

/** Puts each addon found in native/ into the folder of its platform. @returns {string[]} the platforms */
function addPlatformAddons() {
  return readdirSync(PLATFORMS).filter((platform) => {
    const file = `${manifest.napi.binaryName}.${platform}.node`
    const found = existsSync(join('native', file))
    if (found) cpSync(join('native', file), join(PLATFORMS, platform, file))
    cpSync('LICENSE', join(PLATFORMS, platform, 'LICENSE'))
    return found
  })
}

/** Copies what package.json lists, compiles afresh into the copy, and names the platforms' packages. */
function stageMainPackage(platforms) {
  for (const path of manifest.files) {
    if (path !== 'dist' && !path.startsWith('!') && existsSync(path))
      cpSync(path, join(STAGE, path), { recursive: true })
  }
  const tsc = ['-p', 'tsconfig.json', '--outDir', join(STAGE, 'dist'), '--sourceMap', 'false']
  node('typescript/bin/tsc', [...tsc, '--tsBuildInfoFile', join(OUT, 'tsbuildinfo')])
  const { scripts: _scripts, devDependencies: _devDependencies, napi: _napi, ...published } = manifest
  published.optionalDependencies = Object.fromEntries(
    platforms.map((platform) => [`${manifest.napi.packageName}-${platform}`, manifest.version]),
  )
  writeFileSync(join(STAGE, 'package.json'), `${JSON.stringify(published, null, 2)}\n`)
}

/** `npm pack --json` answers with a list of packages, and newer versions with an object of them. */
function packedName(answer) {
  const [packed] = Object.values(answer)
  return packed.filename
}

function node(script, args) {
  return run(process.execPath, [join('node_modules', script), ...args])
}

function run(command, args) {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
}

function fail(message) {
  console.error(`script/pack: ${message}`)
  process.exit(1)
}
