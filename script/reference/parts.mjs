/**
 * The generated parts of the documents, by name, in Markdown.
 */
import { optionsOf, schemaOf, shortForms, typeInWords } from '../../dist/cli/json-schema.js'
import { pipelineJsonSchema } from '../../dist/index.js'
import { registry } from '../../dist/registry.js'

/** @returns {ReadonlyMap<string, string>} */
export function parts() {
  const steps = [...registry.steps.values()]
  const sources = [...registry.sources.values()]
  return new Map([
    ['steps', stepTable(steps)],
    ...steps.map((step) => /** @type {const} */ ([`step ${step.name}`, stepPart(step)])),
    ['source', optionTable(optionsOf(commonSource(sources)))],
    ...sources.map((source) => /** @type {const} */ ([`source ${source.name}`, sourcePart(source)])),
    ...[...registry.sinks.values()].map((sink) => /** @type {const} */ ([`sink ${sink.name}`, sinkPart(sink)])),
  ])
}

/** @param {readonly import('../../src/steps/step.js').AnyStep[]} steps */
function stepTable(steps) {
  const rows = steps.map(({ name, kind, summary }) => `| [\`${name}\`](#${name}) | ${kind} | ${cell(summary)} |`)
  return ['| step | kind | what it does |', '|---|---|---|', ...rows].join('\n')
}

/** @param {import('../../src/steps/step.js').AnyStep} step */
function stepPart({ summary, example, config }) {
  const schema = forFiles(schemaOf(config))
  const short = shortForms(schema).map((form) => {
    const said = form.description === undefined ? '' : `: ${form.description}`
    return `The value is ${code(typeInWords(form))}${said}.`
  })
  return [
    sentence(summary),
    '',
    '```yaml',
    example,
    '```',
    ...short.flatMap((line) => ['', line]),
    ...optionLines(schema),
  ].join('\n')
}

/**
 * The forms a person writes: the number of a function is set by the fluent interface.
 *
 * @param {import('../../src/cli/json-schema.js').JsonSchema} schema
 */
function forFiles(schema) {
  const written = schema.anyOf?.filter((form) => form.properties?.['function'] === undefined)
  return written === undefined ? schema : { ...schema, anyOf: written }
}

/** Formats whose files are not compressed as a whole: readers go to places in them. */
const SEEKABLE = new Set(['parquet', 'arrow', 'megatron'])

/** @param {import('../../src/sources/source.js').SourceFormat} source */
function sourcePart({ name, extensions, options }) {
  const names = extensions.map(code).join(', ')
  const packed = `, each also with ${code('.gz')}, ${code('.zst')} or ${code('.zstd')} behind it`
  return [`Extensions: ${names}${SEEKABLE.has(name) ? '' : packed}.`, ...optionLines(schemaOf(options))].join('\n')
}

/** @param {import('../../src/sinks/sink.js').SinkFormat} sink */
function sinkPart({ summary, options }) {
  return [sentence(summary), ...optionLines(schemaOf(options))].join('\n')
}

/**
 * The keys of `source` that every format has.
 *
 * @param {readonly import('../../src/sources/source.js').SourceFormat[]} sources
 * @returns {import('../../src/cli/json-schema.js').JsonSchema}
 */
function commonSource(sources) {
  const { properties } = /** @type {import('../../src/cli/json-schema.js').JsonSchema} */ (pipelineJsonSchema())
  const own = new Set(sources.flatMap(({ options }) => Object.keys(options.shape)))
  const common = Object.entries(properties?.['source']?.properties ?? {}).filter(([name]) => !own.has(name))
  return { properties: Object.fromEntries(common), required: ['paths'] }
}

/** @param {import('../../src/cli/json-schema.js').JsonSchema} schema */
function optionLines(schema) {
  const options = optionsOf(schema)
  return options.length === 0 ? [] : ['', optionTable(options)]
}

/** @param {readonly import('../../src/cli/json-schema.js').Option[]} options */
function optionTable(options) {
  const rows = options.map(({ name, type, fallback, description }) => {
    const byDefault = fallback === 'required' || fallback === '' ? fallback : code(fallback)
    return `| ${code(name)} | ${code(type)} | ${byDefault} | ${cell(description)} |`
  })
  return ['| option | type | default | |', '|---|---|---|---|', ...rows].join('\n')
}

/** @param {string} text */
const cell = (text) => text.replaceAll('|', String.raw`\|`).replaceAll('<', '&lt;')
/** @param {string} text */
const code = (text) => `\`${text.replaceAll('|', String.raw`\|`)}\``
/** @param {string} text */
const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
