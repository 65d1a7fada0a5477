/**
 * Prints the planner's scoreboard, and writes it and the fitted constants on request: `script/planner-accuracy`.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { accuracyOf } from '../../dist/planner/score/accuracy.js'
import { FREE_CONSTANTS } from '../../dist/planner/score/fit.js'
import { scoreLines } from '../../dist/planner/score/score.js'
import { shippedCalibration } from '../../dist/planner/time/calibration.js'

const [folder, flag] = process.argv.slice(2)
if (folder === undefined) {
  process.stderr.write('script/planner-accuracy FOLDER [--write]\n')
  process.exit(2)
}

const CALIBRATION = 'src/planner/data/calibration.json'
const PAGE = 'docs/planner-accuracy.md'

/** @param {number} share */
const percent = (share) => (share * 100).toFixed(1)

/** @typedef {import('../../dist/planner/types.js').ScoreLine} ScoreLine */

const jsonl = execFileSync(process.execPath, ['script/planner/main.mjs', folder], {
  encoding: 'utf8',
  maxBuffer: 2 ** 28,
})
/** @type {ScoreLine[]} */
const lines = jsonl
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line))

const accuracy = accuracyOf(lines, '.', shippedCalibration())
const { calibration } = accuracy
// Memory and serving have nothing to do with the constants that were just fitted.
const { tables: scored } = scoreLines(lines.filter(({ kind, measured }) => kind === 'serve' || hasMemory(measured)))
const served = new Set(lines.filter(({ kind }) => kind === 'serve').map(({ table }) => table))
const memory = scored.filter(({ field }) => field.startsWith('memory.'))
const serving = scored.filter(({ table }) => served.has(table))

/** @param {Readonly<Record<string, number>>} measured */
function hasMemory(measured) {
  return Object.keys(measured).some((field) => field.startsWith('memory.'))
}

/** @param {import('../../dist/planner/types.js').ScoreSummary} s */
const cells = (s) =>
  `${percent(s.median)} | ${percent(s.p90)} | ${percent(s.worst)} | ${percent(s.signed)} | ${percent(s.coverage)}`

/** @type {string[]} */
const out = []
out.push('| table | rows | n | median | p90 | worst | signed | coverage | all fitted: median | roofline: median |')
out.push('|---|---|--:|--:|--:|--:|--:|--:|--:|--:|')
for (const { table, kind, alone, leftOut, fitted, roofline } of accuracy.tables) {
  const rows = alone === null ? kind : `${kind}, ${alone}`
  const errors = leftOut === null ? 'n/a | n/a | n/a | n/a | n/a' : cells(leftOut)
  out.push(
    `| \`${table}\` | ${rows} | ${fitted.n} | ${errors} | ${percent(fitted.median)} | ${percent(roofline.median)} |`,
  )
}
const steps = out.splice(0).join('\n')

out.push('| table | quantity | n | median | p90 | worst | signed | coverage |', '|---|---|--:|--:|--:|--:|--:|--:|')
const head = out.splice(0)
/** @param {typeof memory} rows */
const quantities = (rows) =>
  [...head, ...rows.map((row) => `| \`${row.table}\` | ${row.field} | ${row.n} | ${cells(row)} |`)].join('\n')

out.push('| constant | prior | fitted | why the prior |', '|---|--:|--:|---|')
for (const { path, prior, because } of FREE_CONSTANTS) {
  /** @type {any} */
  let at = calibration
  for (const key of path) at = at[key]
  out.push(`| \`${path.join('.')}\` | ${prior} | ${Number(at).toPrecision(3)} | ${because} |`)
}
const constants = out.splice(0).join('\n')

const servingPart =
  serving.length === 0
    ? ''
    : `\n## Serving\n\nThe constants are those of \`src/planner/data/serving.json\`; tables seen when they were chosen are marked as fitted by\n\`gristmill plan score\`.\n\n${quantities(serving)}\n`

const { interval } = calibration
const text = `# How right the planner is

Published runs against the planner's predictions, in per cent. Written by \`script/planner-accuracy FOLDER --write\` from a
folder with the tables as CSV; the tables are not part of this repository. \`script/planner-tables FOLDER\` shows the
requests that stand for their rows, and what each table leaves out.

## Time of a step

Each table is predicted by constants that were fitted **without its source**; two tables that describe the same runs count
as one source. "Slow" rows run below 15 % of the peak: they have a cause of their own, are never fitted, and are scored
apart. Coverage is the share of rows inside the 80 % interval. The last two columns are for comparison: the median with
every table fitted, and that of a roofline with two constants fitted on the same sources.

${steps}

Median of the dense tables' medians: **${percent(accuracy.dense.leftOut)} %**; the two-constant roofline: ${percent(accuracy.dense.roofline)} %.

What can be reached is bounded by the tables themselves: of ${accuracy.noise.configurations} configurations that a table repeats, ${accuracy.noise.differing}
differ by more than 15 % between releases or repetitions.

Read with care:

- Left-out constants never saw the table, but the model's form and the priors were written by people who had. Several priors
  (first flash kernels, host time of expert layers, DeepSpeed's gathering, Hopper's share) were set with the tables at hand,
  so these errors are a little flattering. New tables are the real test.
- Where a framework or a chip has one source, leaving it out is a prediction for an unknown framework or chip: the TorchTitan
  runs were on H100s with less power and slower memory than the SXM5 the request names, which only its own rows can tell.
  DeepSpeed's ZeRO-3 is the other such case.
- Blackwell appears in one source only, so there is nothing to predict it from: n/a. Volta, Ada, MI300X and TPUs appear in none; the
  planner says so in its warnings and widens their intervals to ±${percent(Math.exp(interval.unseen) - 1)} %.
- The tables name no micro-batch, vocabulary or kernel where their authors found it obvious. What was filled in, and from
  which publication, is in \`script/planner/tables.mjs\`.
- Rows at 15 % of the peak and below, such as 512 GPUs for a model of 1B, are often off by a factor: what slows them
  (host, network, file system) is not in any description of the run.

One public log was read after the constants were fixed: 71 runs of 176B to 206B models on 384 A100s (BigScience, the prequel
to BLOOM's training log), planned as \`--framework deepspeed --release 2022.02 --inter-gbs 6.25\`. The step times' median error
was 4.5 %, the 90th percentile 15.1 %, and 87 % were inside the interval. It was not used for fitting, but for two
corrections of the form: heads that are no multiple of 16 bytes (its four such runs are not counted here), and the memory of
DeepSpeed's BF16 optimizer and of CUDA before kernels were loaded lazily; with these the memory that nvidia-smi showed is met
within 10.7 % in the median, always from below.

## Memory

Nothing is fitted here; memory means what the table says it means.

${quantities(memory)}
${servingPart}
## Constants

${constants}

Half widths of the intervals: dense ±${percent(Math.exp(interval.dense) - 1)} %, experts ±${percent(Math.exp(interval.experts) - 1)} %, long context ±${percent(Math.exp(interval.longContext) - 1)} %.
`
process.stdout.write(text)
if (flag === '--write') {
  const rounded = JSON.stringify(
    calibration,
    (_key, value) => (typeof value === 'number' ? Number(value.toPrecision(4)) : value),
    2,
  )
  writeFileSync(CALIBRATION, `${rounded}\n`)
  writeFileSync(PAGE, text)
}
