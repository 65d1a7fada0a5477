/**
 * Gristmill's public face. Everything a program imports comes from here.
 */
export { GristmillError, type ErrorCode } from './core/errors.js'
export type { Explanation } from './engine/explain.js'
export type { Manifest } from './engine/manifest.js'
export type { PipelineDefinition } from './engine/pipeline.js'
export type { RunResult } from './engine/run.js'
export { Batch, type Columns, type ColumnType, liveBatchBytes } from './kernels/batch.js'
export { FeedBatch, type FeedNumbers, type FeedStats } from './kernels/feed.js'
export type { Metrics, RunEvent } from './observe/metrics.js'
export { type AnyRow, Draft, Pipeline, type SinkInput, type SourceInput } from './pipeline/builder.js'
export {
  exportRun,
  type ExportFormat,
  type ExportOptions,
  type ExportProgress,
  type ExportReport,
} from './pipeline/export.js'
export { Feed, feed, type FeedMixture, type FeedOptions, type FeedState } from './pipeline/feed.js'
export { loadPipeline } from './pipeline/file.js'
export { explainPipeline, type ExplainOptions, runPipeline, type RunPipelineOptions } from './pipeline/run.js'
export { pipelineJsonSchema } from './pipeline/schema.js'
export { type DiffOptions, diffRuns, whyRow, type WhyOptions } from './pipeline/look-back.js'
export type { RunDiff } from './observe/diff.js'
export type { RowLife } from './observe/why/why.js'
export { arrow, csv, jsonl, mds, megatron, parquet, text, tfrecord, tsv, webdataset } from './pipeline/formats.js'
export { renderReport } from './observe/report.js'
