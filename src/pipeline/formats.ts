/**
 * Sources and sinks of the fluent interface. A format that is both is one function: with paths it is a
 * source, without it is a sink.
 */
import { type AnyRow, type Draft, type SinkInput, source, type SourceInput } from './builder.js'

type Paths = string | readonly string[]
type FormatOptions = Readonly<Record<string, unknown>>

/** A format that can be read and written. */
interface Format {
  /** Reads files of the format; see `gristmill steps` for options. */
  <R extends object = AnyRow>(paths: Paths, options?: SourceInput & FormatOptions): Draft<R>
  /** Writes shards of the format. */
  (options?: FormatOptions): SinkInput
}

function both(format: string): Format {
  return ((first?: Paths | FormatOptions, options: FormatOptions = {}): Draft | SinkInput =>
    typeof first === 'string' || Array.isArray(first)
      ? source(format, first as Paths, options)
      : { ...(first as FormatOptions | undefined), format }) as Format
}

/** JSON Lines. */
export const jsonl = both('jsonl')
/** Parquet. */
export const parquet = both('parquet')
/** Arrow IPC. */
export const arrow = both('arrow')

/** Comma-separated values. */
export function csv<R extends object = AnyRow>(paths: Paths, options: SourceInput & FormatOptions = {}): Draft<R> {
  return source('csv', paths, options)
}

/** Tab-separated values. */
export function tsv<R extends object = AnyRow>(paths: Paths, options: SourceInput & FormatOptions = {}): Draft<R> {
  return source('tsv', paths, options)
}

/** Plain text: a document a file, a line, a paragraph or a stretch of bytes. */
export function text<R extends object = AnyRow>(paths: Paths, options: SourceInput & FormatOptions = {}): Draft<R> {
  return source('text', paths, options)
}

/** MDS, the shards of MosaicML Streaming. */
export function mds<R extends object = AnyRow>(paths: Paths, options: SourceInput & FormatOptions = {}): Draft<R> {
  return source('mds', paths, options)
}

/** Tar archives in which files of one name make a row. */
export function webdataset<R extends object = AnyRow>(
  paths: Paths,
  options: SourceInput & FormatOptions = {},
): Draft<R> {
  return source('webdataset', paths, options)
}

/** TFRecord files of `tf.train.Example`. */
export function tfrecord<R extends object = AnyRow>(paths: Paths, options: SourceInput & FormatOptions = {}): Draft<R> {
  return source('tfrecord', paths, options)
}

/** Token shards for training: Megatron's `.bin` and `.idx`; those written have a table of the documents beside them. */
export const megatron = both('megatron')
