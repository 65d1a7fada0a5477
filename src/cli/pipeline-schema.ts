/** The JSON Schema of a pipeline file, put together from the tables of sources, steps and sinks; for editors. */
import type { Registry } from '../engine/registry.js'
import { type JsonSchema, optionsOf, schemaOf } from './json-schema.js'

const strings: JsonSchema = { type: 'array', items: { type: 'string' } }

/** Keys of `source` that every format reads. */
export const SOURCE_KEYS: Readonly<Record<string, JsonSchema>> = {
  paths: {
    anyOf: [strings, { type: 'string' }],
    description:
      'files, folders, globs, s3:// addresses, "-" for standard input; "!" before a glob takes out what it matches',
  },
  text: { type: 'string', default: 'text', description: 'column that holds the document' },
  id: {
    type: 'string',
    default: 'id',
    description: 'column that holds the id; without one an id is path and position',
  },
  columns: { ...strings, description: 'columns to keep besides text and id; all when left out' },
  types: {
    type: 'object',
    additionalProperties: { enum: ['string', 'int64', 'float64', 'boolean', 'json'] },
    description: 'types of columns, where the sampled ones are wrong',
  },
  where: { type: 'string', description: 'expression; rows it does not hold for are no part of the input' },
  onMissing: {
    enum: ['quarantine', 'skip', 'empty'],
    default: 'quarantine',
    description: 'what happens to a record whose text is null, missing or no string',
  },
  maxRecordBytes: {
    type: 'integer',
    minimum: 1,
    default: 268_435_456,
    description: 'a longer record is quarantined by reference',
  },
  maxBadShare: {
    type: 'number',
    minimum: 0,
    maximum: 1,
    default: 0.01,
    description: 'share of bad records above which the run ends with exit code 3',
  },
}

export function pipelineSchema({ sources, steps, sinks }: Registry): object {
  const step = (name: string, config: JsonSchema, summary: string): object => ({
    type: 'object',
    description: summary,
    properties: { [name]: config },
    required: [name],
    additionalProperties: false,
  })
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Gristmill pipeline',
    type: 'object',
    properties: {
      name: { type: 'string', description: 'name of the run; the file name without its extension when left out' },
      source: {
        anyOf: [...sources.values()].map((source) => formatSchema(source.name, schemaOf(source.options), SOURCE_KEYS)),
      },
      steps: {
        type: 'array',
        items: { anyOf: [...steps.values()].map(({ name, config, summary }) => step(name, schemaOf(config), summary)) },
      },
      sink: {
        anyOf: [...sinks.values()].map((sink) => formatSchema(sink.name, schemaOf(sink.options), {}, sink.summary)),
      },
    },
    required: ['source', 'sink'],
    additionalProperties: false,
  }
}

function formatSchema(
  name: string,
  options: JsonSchema,
  common: Readonly<Record<string, JsonSchema>>,
  summary?: string,
): object {
  const own = optionsOf(options).filter(({ fallback }) => fallback === 'required')
  return {
    type: 'object',
    ...(summary !== undefined && { description: summary }),
    properties: { format: { const: name }, ...common, ...options.properties },
    required: [...('paths' in common ? ['paths'] : ['format']), ...own.map((option) => option.name)],
    additionalProperties: false,
  }
}
