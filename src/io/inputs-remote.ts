/**
 * Input files in object stores: a key, all below a prefix, or matched by a glob.
 */
import type { Entry } from './store.js'
import { isHidden } from './data-files.js'
import { nothingFits } from './inputs-local.js'
import type { Found, InputFile, Search } from './inputs.js'

export async function findRemote({ pattern, fits, stores }: Search): Promise<Found> {
  const root = pattern.folder.replace(/\/+$/, '')
  if (!pattern.isGlob) {
    const { store, key } = await stores.locate(root)
    const entry = key === '' ? undefined : await store.stat(key)
    if (entry !== undefined) return { files: [inputFile(root, entry)] }
  }
  const entries = await (await stores.open(root)).list('')
  const matching = entries.filter(({ key }) => (pattern.isGlob ? pattern.matches(key) : !isHidden(key)))
  const fitting = pattern.namesExtension ? matching : matching.filter(({ key }) => fits(key))
  if (fitting.length > 0) return { files: fitting.map((entry) => inputFile(`${root}/${entry.key}`, entry)) }
  if (matching.length > 0) {
    const others = matching.map(({ key }) => key)
    return { missing: nothingFits(pattern.isGlob ? `the glob '${pattern.text}'` : root, 'matched', others) }
  }
  const message = `${pattern.text} matches nothing: ${entries.length} other objects below ${root}/`
  return { missing: { message, hint: 'keys are case-sensitive; check the bucket and the prefix' } }
}

/** An object's address is its identity: it is the same from wherever the configuration lies. */
function inputFile(url: string, entry: Entry): InputFile {
  return { path: url, url, size: entry.bytes, fingerprint: entry.fingerprint }
}
