/**
 * Steps that find private data: what they would mask is shown nowhere, and kept nowhere. `normalize` stands in for
 * one here: with `private`, texts may only be seen as it leaves them.
 */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { pipelineFile, runWell, testFolder } from '../../../test/command.js'
import { place } from '../../../test/corpora.js'
import { planStages } from '../../engine/plan.js'
import { preparePipeline } from '../../engine/prepare.js'
import type { Registry } from '../../engine/registry.js'
import { openStores } from '../../io/stores.js'
import { loadPipeline } from '../../pipeline/file.js'
import { registry } from '../../registry.js'
import type { AnyStep } from '../../steps/step.js'
import { diffRuns } from '../diff.js'
import { whyRow } from './why.js'

const normalize = { ...registry.steps.get('normalize')!, private: true } as AnyStep
const guarded: Registry = { ...registry, steps: new Map([...registry.steps, ['normalize', normalize]]) }

const SECRET = 'to: me&#64;home'
const lines = [SECRET, SECRET, 'short'].map((text, n) => `${JSON.stringify({ id: `d${n}`, text })}\n`).join('')

function write(root: string, steps: readonly unknown[], name: string): string {
  place(join(root, 'data/a.jsonl'), lines)
  return pipelineFile(root, { source: { paths: 'data' }, steps, sink: 'jsonl', keepRemovedText: true }, name)
}

const CLEAN = { normalize: { html: 'unescape' } }

test('texts from before a private step are shown as it masks them, in why and in diff', async () => {
  const root = testFolder('private')
  const files = ['a', 'b'].map((name, at) =>
    write(root, [{ filter: `length(text) > ${at * 20}` }, 'exact-dedup', CLEAN], `${name}.json`),
  )
  const stores = openStores()
  const context = { registry: guarded, stores }
  const runs: string[] = []
  for (const [at, file] of files.entries()) {
    runs.push(join(root, `run-${at}`))
    await runWell(file, runs[at]!, ['--workers', '1'])
  }
  const [twin] = await whyRow(runs[0]!, 'd1', context)
  expect([twin!.text, twin!.keeper?.text]).toEqual(['to: me@home', 'to: me@home'])
  expect(JSON.stringify(await diffRuns(runs[0]!, runs[1]!, 3, context))).not.toContain('&#64;')
  expect(JSON.stringify(await whyRow(runs[1]!, 'd0', context))).not.toContain('&#64;')
  stores.close()
})

test('texts of rows that a private step has not seen are not kept', async () => {
  const root = testFolder('private')
  const filter = { filter: 'length(text) > 5' }
  const pipeline = await loadPipeline(write(root, [filter, 'exact-dedup', CLEAN, filter, 'exact-dedup'], 'a.json'))
  const stores = openStores()
  const keep = async (known: Registry): Promise<unknown> => {
    const plan = planStages(await preparePipeline(pipeline, known, stores, new AbortController().signal), 1000)
    return plan.stages.map((stage) => [stage.keepText, stage.chain.map((step) => [step.label, step.keepText])])
  }
  expect(await keep(guarded)).toEqual([
    [false, [['filter', false]]],
    [
      false,
      [
        ['normalize', false],
        ['filter-2', true],
      ],
    ],
    [true, []],
  ])
  expect(await keep(registry)).toEqual([
    [false, [['filter', true]]],
    [
      true,
      [
        ['normalize', true],
        ['filter-2', true],
      ],
    ],
    [true, []],
  ])
  stores.close()
})
