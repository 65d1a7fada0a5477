/**
 * What `language.ts` and `classify.ts` share: finding the model, checking labels against it, running it.
 */
import { existsSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { GristmillError, nearest } from '../core/errors.js'
import type { Columns } from '../kernels/batch.js'
import { Classifier, type ClassifyOptions } from '../kernels/classifier.js'
import { checkNewName, findColumn, withColumns } from './columns.js'
import type { PrepareContext, Prepared, StepContext, StepRunner } from './step.js'

/** What a worker needs to classify. */
export interface ClassifierPayload {
  /** Absolute path of the model file. */
  readonly path: string
  readonly contentHash: string
  readonly options: ClassifyOptions
}

/** Checks everything that can be wrong before a run: the file, its labels, the columns. */
export function prepareClassifier(
  model: string,
  options: ClassifyOptions,
  { columns, baseFolder, place }: PrepareContext,
): Prepared<ClassifierPayload> {
  const path = resolve(baseFolder, model)
  if (!existsSync(path) || !statSync(path).isFile()) {
    throw new GristmillError('GM_CONFIG', `${place}: there is no model file ${model}`, {
      hint: 'the path is relative to the pipeline file',
    })
  }
  checkColumns(columns, options, place)
  using classifier = Classifier.load(path)
  for (const label of options.keep ?? []) checkLabel(label, classifier.labels, `${place}.keep`)
  if (options.label !== undefined) checkLabel(options.label, classifier.labels, `${place}.label`)
  const { contentHash } = classifier
  const added = [
    { name: options.labelColumn, type: 'string' },
    { name: options.scoreColumn, type: 'float64' },
  ] as const
  return {
    columns: withColumns(columns, added),
    identity: { checksum: contentHash },
    payload: { path, contentHash, options },
  }
}

export function openClassifier(payload: ClassifierPayload, { removed, step }: StepContext): StepRunner {
  const classifier = Classifier.load(payload.path, payload.contentHash)
  return {
    run(batch) {
      classifier.apply(batch, removed, step, payload.options)
      return undefined
    },
    [Symbol.dispose]: () => classifier[Symbol.dispose](),
  }
}

function checkColumns(columns: Columns, { column, labelColumn, scoreColumn }: ClassifyOptions, place: string): void {
  const { type } = findColumn(columns, column, place)
  if (type !== 'string') {
    throw new GristmillError('GM_COLUMN_TYPE', `${place}: column '${column}' is ${type}, not text`)
  }
  for (const name of [labelColumn, scoreColumn]) {
    checkNewName(name, place)
    if (name === 'id' || name === column) {
      throw new GristmillError('GM_CONFIG', `${place}: the result would replace the column '${name}'`, {
        hint: 'give labelColumn and scoreColumn names of their own',
      })
    }
  }
  if (labelColumn === scoreColumn) {
    throw new GristmillError('GM_CONFIG', `${place}: labelColumn and scoreColumn are both '${labelColumn}'`, {
      hint: 'give labelColumn and scoreColumn names of their own',
    })
  }
}

function checkLabel(label: string, labels: readonly string[], place: string): void {
  if (labels.includes(label)) return
  const near = nearest(label, labels)
  const shown =
    labels.length > 20 ? `${labels.slice(0, 20).join(' ')} and ${labels.length - 20} more` : labels.join(' ')
  throw new GristmillError('GM_CONFIG', `${place}: the model has no label '${label}'`, {
    hint: near === undefined ? `its labels are ${shown}` : `did you mean '${near}'?`,
  })
}
