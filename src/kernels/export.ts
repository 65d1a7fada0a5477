/** A finished run in the format of another loader; what is written where is decided in Rust. */
import type { NativeExport } from '../../native/index.js'
import { addon, fromNative, native } from './native.js'

/** The formats a run can be exported to. */
export const EXPORT_FORMATS = ['mds', 'litdata', 'webdataset', 'tfrecord', 'arrow', 'parquet', 'safetensors'] as const
export type ExportFormat = (typeof EXPORT_FORMATS)[number]

/** `ExportConfig` of the kernel. */
export interface ExportConfig {
  readonly run: string
  readonly out: string
  readonly format: ExportFormat
  readonly seqLen: number | null
  readonly documents: boolean
  readonly padId: number | null
  readonly zstd: boolean
  readonly shardBytes: number
  readonly threads: number
  readonly check: boolean
}

/** What an export made. */
export interface ExportReport {
  readonly samples: number
  readonly shards: number
  /** Bytes of the shards. */
  readonly bytes: number
  /** Samples that an interrupted export before this one had written. */
  readonly resumed: number
}

/** An export that can be watched and stopped while it runs. */
export class Exporter {
  readonly #handle: NativeExport

  /** Opens the run; writes nothing. */
  constructor(config: ExportConfig) {
    this.#handle = native(() => new addon.NativeExport(JSON.stringify(config)), 'see `gristmill export --help`')
  }

  /** Samples to export. */
  get samples(): number {
    return this.#handle.samples
  }

  /** Samples written so far. */
  get written(): number {
    return this.#handle.written
  }

  stop(): void {
    this.#handle.stop()
  }

  /** Writes the export; null when it was stopped. */
  async run(): Promise<ExportReport | null> {
    try {
      const report = await this.#handle.run()
      return report === null ? null : (JSON.parse(report) as ExportReport)
    } catch (error) {
      throw fromNative(error)
    }
  }
}
