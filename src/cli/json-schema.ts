/** Reads what `steps` shows out of JSON Schema: types in words, options in rows. */
import { z } from 'zod'

/** The part of JSON Schema that zod writes and this file reads. */
export interface JsonSchema {
  readonly type?: string | readonly string[]
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
  readonly items?: JsonSchema
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: JsonSchema | boolean
  readonly default?: unknown
  readonly description?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly exclusiveMaximum?: number
}

export interface Option {
  readonly name: string
  readonly type: string
  /** `required`, the default as YAML, or empty when it may be left out. */
  readonly fallback: string
  readonly description: string
}

/** The JSON Schema of what a user may write: defaults left out, transforms not yet applied. */
export function schemaOf(schema: z.ZodType): JsonSchema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
  return rest as JsonSchema
}

/** Every option of the object forms of a value, in order. */
export function optionsOf(schema: JsonSchema): Option[] {
  const objects = [schema, ...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].filter(
    (one) => one.properties !== undefined,
  )
  return objects.flatMap((object) =>
    Object.entries(object.properties ?? {}).map(([name, option]) => ({
      name,
      type: typeInWords(option),
      fallback: fallbackOf(option, object.required?.includes(name) ?? false),
      description: option.description ?? '',
    })),
  )
}

/** What a value may be instead of an object of options, as in `filter: "length(text) > 0"`. */
export function shortForms(schema: JsonSchema): JsonSchema[] {
  const all = schema.anyOf ?? schema.oneOf ?? [schema]
  return all.filter((one) => one.properties === undefined && Object.keys(one).length > 0)
}

export function typeInWords(schema: JsonSchema): string {
  if (schema.const !== undefined) return inYaml(schema.const)
  if (schema.enum !== undefined) return schema.enum.map(inYaml).join(' | ')
  const choices = schema.anyOf ?? schema.oneOf
  if (choices !== undefined) return [...new Set(choices.map(typeInWords))].join(' | ')
  if (schema.type === 'array') return `list of ${schema.items === undefined ? 'anything' : typeInWords(schema.items)}`
  if (schema.properties !== undefined) return `{ ${Object.keys(schema.properties).join(', ')} }`
  if (schema.type === 'object') {
    const value =
      typeof schema.additionalProperties === 'object' ? typeInWords(schema.additionalProperties) : 'anything'
    return `map to ${value}`
  }
  const name = typeof schema.type === 'string' ? schema.type : (schema.type?.join(' | ') ?? 'anything')
  return `${name}${rangeOf(schema)}`
}

/** Bounds beyond which no number is exact say nothing. */
const bound = (value: number | undefined): number | undefined =>
  value === undefined || Math.abs(value) >= Number.MAX_SAFE_INTEGER ? undefined : value

function rangeOf(schema: JsonSchema): string {
  const [least, most] = [bound(schema.minimum), bound(schema.maximum)]
  const [above, below] = [bound(schema.exclusiveMinimum), bound(schema.exclusiveMaximum)]
  if (least !== undefined && most !== undefined) return ` from ${least} to ${most}`
  const parts: string[] = []
  if (least !== undefined) parts.push(`≥ ${least}`)
  if (above !== undefined) parts.push(`> ${above}`)
  if (most !== undefined) parts.push(`≤ ${most}`)
  if (below !== undefined) parts.push(`< ${below}`)
  return parts.length > 0 ? ` ${parts.join(' and ')}` : ''
}

function fallbackOf(option: JsonSchema, required: boolean): string {
  if (option.default !== undefined) return inYaml(option.default)
  return required ? 'required' : ''
}

/** A value as one would write it: plain words bare, everything else as JSON. */
function inYaml(value: unknown): string {
  return typeof value === 'string' && /^[a-z][\w-]*$/i.test(value) ? value : JSON.stringify(value)
}
