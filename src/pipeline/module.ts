/**
 * Pipelines that are modules: loading one for a run, and again inside each worker for its functions.
 *
 * A module either exports a pipeline by default (`gristmill run pipeline.ts`), or is a program that calls
 * `pipeline.run()`. In a worker the program runs up to that call, which hands the pipeline over and never
 * returns, so that nothing after it happens twice.
 */
import { stat } from 'node:fs/promises'
import path from 'node:path'
import { GristmillError } from '../core/errors.js'
import { bundleModule } from '../engine/bundle.js'
import { identityOf } from '../engine/identity.js'
import { isPipeline, type PipelineDefinition, type PipelineSpec, type UserFunction } from '../engine/pipeline.js'

/** Where a worker waits for the pipeline of the program it loads. */
const OFFER = Symbol.for('gristmill.worker.offer')

type Offer = (definition: PipelineDefinition) => void

/** Inside a worker: hands a pipeline over. False in the main thread, where the run must go on. */
export function offerToWorker(definition: PipelineDefinition): boolean {
  const offer = (globalThis as { [OFFER]?: Offer })[OFFER]
  offer?.(definition)
  return offer !== undefined
}

/** What tells pipelines of one module apart: the names of their steps and the number of functions. */
export function signatureOf(spec: PipelineSpec, functions: number): string {
  return identityOf([spec.steps.map((step) => step.name), functions])
}

/** The pipeline that a module exports by default. */
export async function loadModule(file: string): Promise<PipelineDefinition> {
  const module = path.resolve(file)
  await stat(module).catch(() => {
    throw new GristmillError('GM_CONFIG', `there is no pipeline file ${file}`)
  })
  const loaded = (await importBundle((await bundleModule(module)).url, file)) as { default?: unknown }
  if (!isPipeline(loaded.default)) {
    throw new GristmillError('GM_USER_MODULE', `${file} does not export a pipeline by default`, {
      hint: 'end the chain with .write(…) and `export default` it',
    })
  }
  return { ...loaded.default.definition, baseFolder: path.dirname(module), module }
}

/** Inside a worker: the functions of the pipeline with `signature` in a bundled module. */
export async function loadFunctions(bundle: string, signature: string): Promise<readonly UserFunction[]> {
  const fits = ({ spec, functions }: PipelineDefinition): boolean => signatureOf(spec, functions.length) === signature
  return new Promise((resolve, reject) => {
    const offer: Offer = (definition) => {
      if (fits(definition)) resolve(definition.functions)
    }
    Object.assign(globalThis, { [OFFER]: offer })
    importBundle(bundle, 'the pipeline module').then((loaded) => {
      const pipeline = (loaded as { default?: unknown }).default
      if (isPipeline(pipeline) && fits(pipeline.definition)) resolve(pipeline.definition.functions)
      else
        reject(
          new GristmillError('GM_USER_MODULE', 'a worker did not find the pipeline in its module', {
            hint: 'build the same pipeline each time the module is loaded, without conditions on time, arguments or thread',
          }),
        )
    }, reject)
  })
}

async function importBundle(bundle: string, name: string): Promise<unknown> {
  try {
    return (await import(bundle)) as unknown
  } catch (cause) {
    if (cause instanceof GristmillError) throw cause
    throw new GristmillError('GM_USER_MODULE', `${name} failed while it was loaded: ${(cause as Error).message}`, {
      cause,
    })
  }
}
