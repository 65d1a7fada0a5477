/**
 * Reads a pipeline from a YAML or JSON file, with `--set` applied, from a TypeScript or JavaScript module, or from
 * the recipes that come with the package.
 */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { LineCounter, parse, parseDocument, type Document } from 'yaml'
import { GristmillError, ioError } from '../core/errors.js'
import type { PipelineDefinition } from '../engine/pipeline.js'
import { checkPipeline, problemsError } from './schema.js'
import { loadModule } from './module.js'
import { RECIPE, readRecipe } from './recipes.js'

/** Values of `--set`, by key path: `{ "source.paths": "b.jsonl" }`. Values are YAML. */
export type Overrides = Readonly<Record<string, string>>

/** Reads and checks a pipeline; throws GM_CONFIG with every problem and its line. */
export async function loadPipeline(file: string, overrides: Overrides = {}): Promise<PipelineDefinition> {
  if (file.startsWith(RECIPE))
    return fromText(file, await readRecipe(file.slice(RECIPE.length)), process.cwd(), overrides)
  if (/\.[cm]?[jt]sx?$/iu.test(file)) return override(await loadModule(file), file, overrides)
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new GristmillError('GM_CONFIG', `there is no pipeline file ${file}`, {
        hint: '`gristmill init` writes one from a look at your data',
      })
    }
    throw ioError(`read ${file}`, cause)
  }
  return fromText(file, text, path.dirname(path.resolve(file)), overrides)
}

/** Reads a pipeline out of its text; `file` names it in messages. */
function fromText(file: string, text: string, baseFolder: string, overrides: Overrides): PipelineDefinition {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: true })
  const [broken] = document.errors
  if (broken) throw new GristmillError('GM_CONFIG', `${file} is no valid YAML: ${broken.message}`, { cause: broken })
  for (const [key, value] of Object.entries(overrides))
    document.setIn(keyPath(key), document.createNode(readValue(key, value)))
  const name = path
    .basename(file)
    .replace(/\.(ya?ml|json)$/iu, '')
    .replace(RECIPE, '')
  const checked = checkPipeline(document.toJS() ?? {}, name)
  if ('problems' in checked) throw problemsError(checked.problems, file, (at) => lineOf(document, lines, at))
  return { spec: checked.spec, baseFolder, functions: [], module: undefined }
}

/** Applies `--set` to a pipeline that a module made. */
function override(definition: PipelineDefinition, file: string, overrides: Overrides): PipelineDefinition {
  if (Object.keys(overrides).length === 0) return definition
  const { source, steps, sink, name, keepRemovedText } = definition.spec
  const { options, ...common } = source
  const plain = {
    name,
    source: { ...common, ...options },
    steps: steps.map(({ name, config, guard }) => ({
      [name]: guard === undefined ? config : { ...asObject(name, config), guard },
    })),
    sink: { format: sink.format, ...sink.options },
    keepRemovedText: keepRemovedText === true,
  }
  const document = parseDocument(JSON.stringify(plain))
  for (const [key, value] of Object.entries(overrides))
    document.setIn(keyPath(key), document.createNode(readValue(key, value)))
  const checked = checkPipeline(document.toJS(), name)
  if ('problems' in checked) throw problemsError(checked.problems, file, () => '')
  return { ...definition, spec: checked.spec }
}

/** A step's checked configuration in the form that takes further options. */
function asObject(name: string, config: unknown): object {
  if (typeof config === 'object' && config !== null && !Array.isArray(config)) return config
  throw new GristmillError('GM_INTERNAL', `${name} has a guard beside a configuration that is no object`)
}

function keyPath(key: string): (string | number)[] {
  return key.split('.').map((part) => (/^\d+$/u.test(part) ? Number(part) : part))
}

function readValue(key: string, value: string): unknown {
  try {
    return parse(value) as unknown
  } catch (cause) {
    throw new GristmillError('GM_USAGE', `--set ${key}: '${value}' is no YAML value`, { cause })
  }
}

/** "line 4: " for the innermost node of a path that the file has. */
function lineOf(document: Document, lines: LineCounter, at: readonly (string | number)[]): string {
  for (let length = at.length; length > 0; length--) {
    const node = document.getIn(at.slice(0, length), true) as { range?: [number, number, number] } | undefined
    if (node?.range) return `line ${lines.linePos(node.range[0]).line}: `
  }
  return ''
}
