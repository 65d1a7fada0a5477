/** `gristmill steps`: what a pipeline can be made of, read from the same tables that run it. */
import { GristmillError, nearest } from '../../core/errors.js'
import type { Registry } from '../../engine/registry.js'
import { pipelineJsonSchema } from '../../pipeline/schema.js'
import { registry } from '../../registry.js'
import type { SinkFormat } from '../../sinks/sink.js'
import type { SourceFormat } from '../../sources/source.js'
import type { AnyStep } from '../../steps/step.js'
import { createConsole, type OutputFlags } from '../console.js'
import { type JsonSchema, type Option, optionsOf, schemaOf, shortForms, typeInWords } from '../json-schema.js'
import type { Paint } from '../paint.js'
import { renderTable } from '../table.js'

export async function steps(name: string | undefined, flags: OutputFlags): Promise<number> {
  const output = createConsole(flags)
  if (name === undefined) {
    output.object(pipelineJsonSchema())
    output.result(renderList(registry, output.paint))
    return 0
  }
  const { sources, sinks } = registry
  const [step, source, sink] = [registry.steps.get(name), sources.get(name), sinks.get(name)]
  if (step === undefined && source === undefined && sink === undefined) throw unknown(name)
  output.object({
    name,
    ...(step && { step: { summary: step.summary, example: step.example, config: schemaOf(step.config) } }),
    ...(source && { source: { extensions: source.extensions, options: schemaOf(source.options) } }),
    ...(sink && { sink: { summary: sink.summary, options: schemaOf(sink.options) } }),
  })
  const pages = [
    step && renderStep(step, output.paint),
    source && renderSource(source, output.paint),
    sink && renderSink(sink, output.paint),
  ]
  output.result(pages.filter((page) => page !== undefined).join('\n\n'))
  return 0
}

function unknown(name: string): GristmillError {
  const names = [...registry.steps.keys(), ...registry.sources.keys(), ...registry.sinks.keys()]
  const near = nearest(name, names)
  const hint = near === undefined ? '`gristmill steps` lists them' : `did you mean ${near}?`
  return new GristmillError('GM_USAGE', `there is no step, source or sink '${name}'`, { hint })
}

function renderList({ steps: all, sources, sinks }: Registry, paint: Paint): string {
  const rows = (list: Iterable<{ name: string; summary: string }>): string[][] =>
    [...list].map(({ name, summary }) => [paint.accent(name), summary])
  const readable = [...sources.values()].map(({ name, extensions }) => ({
    name,
    summary: extensions.length > 0 ? `${extensions.join(', ')}, plain or compressed` : '',
  }))
  return [
    renderTable(['steps', ''], ['left', 'left'], rows(all.values()), paint),
    renderTable(['sources', ''], ['left', 'left'], rows(readable), paint),
    renderTable(['sinks', ''], ['left', 'left'], rows(sinks.values()), paint),
    `${paint.accent('gristmill steps NAME')} shows options, defaults and an example.`,
  ].join('\n\n')
}

function renderStep({ name, summary, example, config }: AnyStep, paint: Paint): string {
  const schema = schemaOf(config)
  const short = shortForms(schema).map((form) => `  ${paint.accent(`${name}:`)} ${typeInWords(form)}${said(form)}`)
  return [
    `${paint.bold(name)}: ${summary}`,
    ...(short.length > 0 ? ['', ...short] : []),
    ...renderOptions(optionsOf(schema), paint),
    '',
    paint.dim('  example'),
    ...example.split('\n').map((line) => `    ${line}`),
  ].join('\n')
}

const said = ({ description }: JsonSchema): string => (description === undefined ? '' : `, ${description}`)

function renderSource({ name, extensions, options }: SourceFormat, paint: Paint): string {
  const own = optionsOf(schemaOf(options))
  const common = optionsOf(commonSource())
  return [
    `${paint.bold(`source ${name}`)}: ${extensions.join(', ')}`,
    ...renderOptions([...common, ...own], paint),
    '',
    paint.dim('  example'),
    '    source:',
    `      format: ${name}`,
    `      paths: ["data/**/*${extensions[0] ?? ''}"]`,
  ].join('\n')
}

/** The keys of `source` that no format has for itself. */
function commonSource(): JsonSchema {
  const { properties } = pipelineJsonSchema() as { readonly properties: { readonly source: JsonSchema } }
  const own = new Set([...registry.sources.values()].flatMap((format) => Object.keys(format.options.shape)))
  const common = Object.entries(properties.source.properties ?? {}).filter(
    ([name]) => name !== 'format' && !own.has(name),
  )
  return { properties: Object.fromEntries(common), required: ['paths'] }
}

function renderSink({ name, summary, options }: SinkFormat, paint: Paint): string {
  return [
    `${paint.bold(`sink ${name}`)}: ${summary}`,
    ...renderOptions(optionsOf(schemaOf(options)), paint),
    '',
    paint.dim('  example'),
    '    sink:',
    `      format: ${name}`,
  ].join('\n')
}

function renderOptions(options: readonly Option[], paint: Paint): string[] {
  if (options.length === 0) return []
  const rows = options.map(({ name, type, fallback, description }) => [
    paint.accent(name),
    type,
    fallback === 'required' ? paint.warn(fallback) : fallback,
    description,
  ])
  return ['', renderTable(['option', 'type', 'default', ''], ['left', 'left', 'left', 'left'], rows, paint)]
}
