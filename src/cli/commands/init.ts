/** `gristmill init`: writes a pipeline file after a look at the user's data. */
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { dirname, relative, resolve } from 'node:path'
import { GristmillError, ioError } from '../../core/errors.js'
import { formatBytes, formatCount } from '../../core/units.js'
import { createConsole } from '../console.js'
import { lookAtData } from '../look-at-data.js'
import type { InitFlags } from '../program.js'
import { areTokens, renderPipelineFile } from '../pipeline-file.js'

export async function init(data: readonly string[], flags: InitFlags): Promise<number> {
  const output = createConsole(flags)
  const file = resolve(flags.out)
  if (existsSync(file) && flags.force !== true) {
    throw new GristmillError('GM_USAGE', `${flags.out} exists`, {
      hint: 'pass --force to overwrite it, or --out FILE to write another',
    })
  }
  const found = await lookAtData(data, dirname(file))
  await writeFile(file, renderPipelineFile(found)).catch((cause: unknown) => {
    throw ioError(`write ${flags.out}`, cause)
  })
  output.object({ event: 'init', file: flags.out, ...found })
  const { paint } = output
  const size = `${formatCount(found.files)} ${found.format} ${found.files === 1 ? 'file' : 'files'}, ${formatBytes(found.bytes)}`
  const path = relative(process.cwd(), file) || flags.out
  output.result(
    [
      `${paint.bold('wrote')} ${path}: ${size}; documents are in the column ${paint.accent(found.text)}`,
      areTokens(found)
        ? 'these are token ids: the pipeline shuffles and packs them'
        : found.tokenizer === undefined
          ? 'no tokenizer.json found: the pipeline writes clean rows as Parquet; the lines for tokens are in the file'
          : `tokenizer ${found.tokenizer.path}`,
      '',
      `  gristmill explain ${path}`,
      `  gristmill run ${path} --out runs/${found.name}`,
    ].join('\n'),
  )
  return 0
}
