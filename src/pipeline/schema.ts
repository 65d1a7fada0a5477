/**
 * The pipeline file's schema: one for YAML, JSON and TypeScript, with every default in it.
 *
 * Options of formats and steps are checked by the formats' and steps' own schemas; this file puts them
 * together and turns what is wrong into messages that name the place and the nearest right word.
 */
import { z } from 'zod'
import { GristmillError, nearest } from '../core/errors.js'
import type { PipelineSpec, SinkSpec, SourceSpec, StepSpec } from '../engine/pipeline.js'
import { registry } from '../registry.js'

const MAX_RECORD_BYTES = 256 * 2 ** 20

const SourceCommon = z.looseObject({
  format: z
    .enum([...registry.sources.keys()] as [string, ...string[]])
    .optional()
    .describe('told from the extension when left out'),
  paths: z
    .union([z.string(), z.array(z.string()).min(1)])
    .describe('files, folders, globs, "-" for standard input; relative to this file'),
  text: z.string().default('text').describe('column that holds the document; it is called text from here on'),
  id: z.string().default('id').describe('column that holds the id; without one a row is named by path and position'),
  columns: z.array(z.string()).optional().describe('columns to keep besides text and id; all when left out'),
  types: z
    .record(z.string(), z.enum(['string', 'int64', 'float64', 'boolean', 'json']))
    .default({})
    .describe('types of columns, where the guess from the first rows is wrong'),
  where: z.string().optional().describe('condition a row must meet to be read at all; see docs/expressions.md'),
  onMissing: z
    .enum(['quarantine', 'skip', 'empty'])
    .default('quarantine')
    .describe('what happens to a row whose text is null, missing or no string'),
  maxRecordBytes: z.int().min(1024).default(MAX_RECORD_BYTES).describe('a longer record is quarantined by reference'),
  maxBadShare: z
    .number()
    .min(0)
    .max(1)
    .default(0.01)
    .describe('share of bad records over which the run ends with exit code 3, 0 to 1'),
})

const Pipeline = z.strictObject({
  name: z.string().min(1).optional().describe('shown in the report; the file name when left out'),
  source: z.unknown(),
  steps: z.array(z.unknown()).default([]),
  sink: z.unknown(),
  keepRemovedText: z
    .boolean()
    .default(false)
    .describe('keeps the texts of removed rows in removed/, but for those a step for private data has not seen'),
})

/** What every step with options takes besides its own. */
const Guard = z
  .enum(['on', 'off'])
  .optional()
  .describe('off: the step may remove over 90 % of the rows of one source or language')

/** Something wrong at a place of the pipeline file. */
export interface Problem {
  readonly path: readonly (string | number)[]
  readonly message: string
  readonly hint: string | undefined
}

/** Either the pipeline with all defaults, or everything that is wrong with it. */
export type Checked = { readonly spec: PipelineSpec } | { readonly problems: readonly Problem[] }

/** Checks a pipeline as read from a file or built by the fluent interface. */
export function checkPipeline(value: unknown, defaultName: string): Checked {
  const problems: Problem[] = []
  const outer = check(Pipeline, value, [], problems)
  if (!outer) return { problems }
  const source = checkSource(outer.source, problems)
  const steps = outer.steps.map((step, index) => checkStep(step, index, problems))
  const sink = checkSink(outer.sink, problems)
  if (problems.length > 0 || !source || !sink) return { problems }
  return {
    spec: {
      name: outer.name ?? defaultName,
      source,
      steps: steps.filter((step) => step !== undefined),
      sink,
      ...(outer.keepRemovedText && { keepRemovedText: true }),
    },
  }
}

function checkSource(value: unknown, problems: Problem[]): SourceSpec | undefined {
  const source = check(SourceCommon, value, ['source'], problems)
  if (!source) return undefined
  const { format, paths, text, id, columns, types, where, onMissing, maxRecordBytes, maxBadShare, ...options } = source
  const known = format === undefined ? undefined : registry.sources.get(format)
  // The options of a format that is told from the extension are checked against all formats' names here,
  // against the format itself when the inputs are known.
  const names = (known ? [known] : [...registry.sources.values()]).flatMap((f) => Object.keys(f.options.shape))
  for (const key of Object.keys(options)) {
    if (!names.includes(key)) problems.push(unknownKey(['source', key], [...Object.keys(SourceCommon.shape), ...names]))
  }
  if (known) check(known.options, options, ['source'], problems)
  return {
    format,
    paths: typeof paths === 'string' ? [paths] : paths,
    text,
    id,
    columns,
    types,
    where,
    onMissing,
    maxRecordBytes,
    maxBadShare,
    options,
  }
}

function checkStep(value: unknown, index: number, problems: Problem[]): StepSpec | undefined {
  const path = ['steps', index]
  const entries = typeof value === 'string' ? [[value, {}] as const] : Object.entries(value ?? {})
  const [entry] = entries
  if (!entry || entries.length !== 1 || Array.isArray(value)) {
    const example = '- filter: "length(text) >= 64"'
    problems.push({ path, message: 'a step is one name with its options', hint: `as in \`${example}\`` })
    return undefined
  }
  const [name, config] = entry as readonly [string, unknown]
  const step = registry.steps.get(name)
  if (!step) {
    problems.push(unknownKey([...path, name], registry.steps.keys(), 'step'))
    return undefined
  }
  const { guard, rest } = takeGuard(config ?? {})
  const off = check(Guard, guard, [...path, name, 'guard'], problems) === 'off'
  const checked = check(step.config, rest, [...path, name], problems)
  return checked === undefined ? undefined : { name, config: checked, ...(off && { guard: 'off' }) }
}

/** Every step's options may hold `guard`, which is the engine's. */
function takeGuard(config: unknown): { guard: unknown; rest: unknown } {
  if (typeof config !== 'object' || config === null || Array.isArray(config) || !('guard' in config)) {
    return { guard: undefined, rest: config }
  }
  const { guard, ...rest } = config
  return { guard, rest }
}

function checkSink(value: unknown, problems: Problem[]): SinkSpec | undefined {
  const { format, ...options } = (typeof value === 'string' ? { format: value } : (value ?? {})) as Record<
    string,
    unknown
  >
  const names = [...registry.sinks.keys()]
  const sink = typeof format === 'string' ? registry.sinks.get(format) : undefined
  if (!sink) {
    const path = ['sink', 'format']
    if (typeof format === 'string') problems.push(unknownKey([...path, format], names, 'sink format'))
    else problems.push({ path, message: 'the sink needs a format', hint: `one of ${names.join(', ')}` })
    return undefined
  }
  const checked = check(sink.options, options, ['sink'], problems)
  return checked && { format: sink.name, options: checked }
}

function unknownKey(path: (string | number)[], names: Iterable<string>, what = 'option'): Problem {
  const key = String(path.at(-1))
  const known = [...names] // an iterator is spent by one reader
  const near = nearest(key, known)
  const hint = near === undefined ? `the ${what}s are ${known.join(', ')}` : `did you mean '${near}'?`
  return { path, message: `there is no ${what} '${key}'`, hint }
}

/** Parses a value; what is wrong is added to `problems`. */
function check<T>(schema: z.ZodType<T>, value: unknown, path: (string | number)[], problems: Problem[]): T | undefined {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  for (const issue of parsed.error.issues) problems.push(...problemsOf(issue, schema, path))
  return undefined
}

function problemsOf(issue: z.core.$ZodIssue, schema: z.ZodType, path: (string | number)[]): Problem[] {
  const at = [...path, ...issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part))]
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => unknownKey([...at, key], keysAt(schema, issue.path)))
  }
  if (issue.code === 'invalid_union') {
    // The branch that got furthest says best what is wrong.
    const branch = issue.errors.toSorted((a, b) => depth(b) - depth(a))[0]
    const deeper = branch?.filter((inner) => inner.path.length > 0 || inner.code === 'unrecognized_keys')
    if (deeper && deeper.length > 0) return deeper.flatMap((inner) => problemsOf(inner, schema, at))
  }
  return [{ path: at, message: issue.message, hint: undefined }]
}

const depth = (issues: readonly z.core.$ZodIssue[]): number => Math.max(0, ...issues.map((issue) => issue.path.length))

/** Names of the options of an object schema, looking through defaults, unions and the like. */
function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  const json = z.toJSONSchema(schema, { unrepresentable: 'any', io: 'input' }) as JsonSchema
  return propertiesOf(json, path)
}

interface JsonSchema {
  properties?: Record<string, JsonSchema>
  anyOf?: JsonSchema[]
  allOf?: JsonSchema[]
}

function propertiesOf(json: JsonSchema, path: readonly PropertyKey[]): string[] {
  const inner = [...(json.anyOf ?? []), ...(json.allOf ?? [])].flatMap((branch) => propertiesOf(branch, path))
  const [first, ...rest] = path
  if (first === undefined) return [...Object.keys(json.properties ?? {}), ...inner]
  const next = json.properties?.[String(first)]
  return [...(next ? propertiesOf(next, rest) : []), ...inner]
}

/** The JSON Schema of the whole pipeline file, for editors. */
export function pipelineJsonSchema(): object {
  const json = (schema: z.ZodType): object => z.toJSONSchema(schema, { unrepresentable: 'any', io: 'input' })
  const step = [...registry.steps.values()].map(({ name, summary, config }) => ({
    type: 'object',
    description: summary,
    properties: { [name]: withGuard(json(config) as JsonSchema) },
    required: [name],
    additionalProperties: false,
  }))
  const sources = [...registry.sources.values()].map(({ options }) => json(options) as JsonSchema)
  const common = json(SourceCommon) as JsonSchema
  const sinks = [...registry.sinks.values()].map(({ name, options }) => {
    const schema = json(options) as JsonSchema
    return { ...schema, properties: { format: { const: name }, ...schema.properties }, required: ['format'] }
  })
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Gristmill pipeline',
    type: 'object',
    properties: {
      name: { type: 'string' },
      source: {
        ...common,
        properties: Object.assign({}, ...sources.map((schema) => schema.properties ?? {}), common.properties) as object,
        additionalProperties: false,
      },
      steps: { type: 'array', items: { anyOf: [...step, { enum: [...registry.steps.keys()] }] } },
      sink: { anyOf: [...sinks, { enum: [...registry.sinks.keys()] }] },
      keepRemovedText: (json(Pipeline) as JsonSchema).properties?.['keepRemovedText'],
    },
    required: ['source', 'sink'],
    additionalProperties: false,
  }
}

/** A step's schema with the option that the engine adds to each. */
function withGuard(schema: JsonSchema): JsonSchema {
  if (schema.anyOf) return { ...schema, anyOf: schema.anyOf.map(withGuard) }
  if (!schema.properties) return schema
  const guard = z.toJSONSchema(Guard, { io: 'input' }) as JsonSchema
  return { ...schema, properties: { ...schema.properties, guard } }
}

/** Throws everything that is wrong as one error; `locate` adds a line of the file. */
export function problemsError(
  problems: readonly Problem[],
  file: string,
  locate: (path: readonly (string | number)[]) => string,
): GristmillError {
  const shown = problems.slice(0, 5).map(({ path, message, hint }) => {
    const place = path
      .map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`))
      .join('')
      .replace(/^\./u, '')
    return `${locate(path)}${place === '' ? '' : `${place}: `}${message}${hint === undefined ? '' : ` (${hint})`}`
  })
  const more = problems.length > shown.length ? [`and ${problems.length - shown.length} more`] : []
  return new GristmillError('GM_CONFIG', [`${file} is no valid pipeline`, ...shown, ...more].join('\n  '))
}
