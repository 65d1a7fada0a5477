/**
 * Shows a run while it goes on: a block of lines redrawn in place on a terminal, plain lines elsewhere, JSON lines
 * with `--json`, nothing with `--quiet`. Progress goes to standard error, so that standard output stays the result.
 */
import { stripVTControlCharacters } from 'node:util'
import {
  formatBinaryBytes,
  formatBytes,
  formatCount,
  formatDuration,
  formatPercent,
  formatRate,
  formatShortCount,
} from '../core/units.js'
import type { RunEvent } from '../observe/metrics.js'
import type { Console } from './console.js'
import type { Paint } from './paint.js'
import {
  advance,
  elapsedSeconds,
  NOTHING_YET,
  type ProgressState,
  remainingSeconds,
  shareDone,
  speed,
  type StageState,
} from './progress-state.js'

/** Redraws per second at most 10: more is flicker and terminal time. */
const REDRAW_MS = 100
/** Between plain lines. */
const PLAIN_MS = 5000

export interface Progress {
  onEvent(event: RunEvent): void
  /** A message among the progress. */
  say(text: string): void
  /** Draws the last state and stops; nothing may be said afterwards. */
  close(): void
}

/** The display that suits the flags and the terminal. */
export async function createProgress(output: Console): Promise<Progress> {
  if (output.json) return jsonProgress(output)
  if (output.quiet) return { onEvent: () => undefined, say: () => undefined, close: () => undefined }
  const live = process.stderr.isTTY && process.env['TERM'] !== 'dumb' && !process.env['CI']
  return live ? liveProgress(output) : plainProgress(output)
}

function jsonProgress(output: Console): Progress {
  return { onEvent: (event) => output.object(event), say: (text) => output.note(text), close: () => undefined }
}

async function liveProgress(output: Console): Promise<Progress> {
  // Loaded here, since most runs have no terminal and it would be a tenth of their start.
  const { createLogUpdate } = await import('log-update')
  const paint = output.notePaint
  const block = createLogUpdate(process.stderr)
  let state = NOTHING_YET
  const draw = (): void => {
    if (state.stages.length > 0) block(renderBlock(state, seconds(), process.stderr.columns ?? 80, paint))
  }
  const timer = setInterval(draw, REDRAW_MS)
  timer.unref()
  return {
    onEvent(event) {
      state = advance(state, event, seconds())
      const text = sentence(event, paint)
      if (text !== undefined) block.persist(text)
    },
    say: (text) => block.persist(text),
    close() {
      clearInterval(timer)
      draw()
      block.done()
    },
  }
}

function plainProgress(output: Console): Progress {
  let state = NOTHING_YET
  const paint = output.notePaint
  const say = (text: string): void => output.note(text)
  const timer = setInterval(() => {
    const running = state.stages.find((stage) => stage.status === 'running')
    if (running !== undefined) say(renderPlain(running, state, seconds()))
  }, PLAIN_MS)
  timer.unref()
  return {
    onEvent(event) {
      const before = state
      state = advance(state, event, seconds())
      const text = sentence(event, paint)
      if (text !== undefined) say(text)
      for (const [at, stage] of state.stages.entries()) {
        const ended = stage.status === 'finished' && before.stages[at]?.status !== 'finished'
        if (ended) say(renderPlain(stage, state, seconds()))
      }
    },
    say,
    close: () => clearInterval(timer),
  }
}

/** What an event says in words, if anything. */
function sentence(event: RunEvent, paint: Paint): string | undefined {
  if (event.event === 'warning') {
    const hint = event.hint === undefined ? '' : `\n${paint.accent('hint')}: ${event.hint}`
    return `${paint.warn(`warning ${event.code}`)}: ${event.message}${hint}`
  }
  if (event.event === 'resume' && event.tasksDone > 0) {
    return `resuming: ${formatCount(event.tasksDone)} ${event.tasksDone === 1 ? 'task is' : 'tasks are'} done already`
  }
  return undefined
}

const seconds = (): number => performance.now() / 1000

/** `tokenize: 62 %, 1,234,567 rows, 84.1 MB/s, 42 s to go, 412 MiB resident`. */
export function renderPlain(stage: StageState, state: ProgressState, now: number): string {
  const rate = speed(stage)
  const left = remainingSeconds(stage)
  const facts =
    stage.status === 'finished'
      ? [`done in ${formatDuration(elapsedSeconds(stage, now))}`, ...taskFacts(stage)]
      : [formatPercent(shareDone(stage), 0)]
  facts.push(`${formatCount(stage.rows)} rows`)
  if (rate !== undefined) facts.push(formatRate(rate))
  if (left !== undefined) facts.push(`${formatDuration(left)} to go`)
  if (state.rssBytes > 0) facts.push(`${formatBinaryBytes(state.rssBytes)} resident`)
  return `${stage.name}: ${facts.join(', ')}`
}

function taskFacts({ tasks, tasksSkipped }: StageState): string[] {
  const skipped = tasksSkipped > 0 ? `, ${formatCount(tasksSkipped)} done before` : ''
  return [`${formatCount(tasks)} ${tasks === 1 ? 'task' : 'tasks'}${skipped}`]
}

/** A line a stage and one about the process, none wider than the terminal. */
export function renderBlock(state: ProgressState, now: number, width: number, paint: Paint): string {
  const longest = Math.max(...state.stages.map((stage) => stage.name.length))
  const nameWidth = Math.min(longest, Math.max(16, Math.floor(width * 0.3)))
  const lines = state.stages.map((stage) => renderStage(stage, now, nameWidth, width, paint))
  const memory = `${formatBinaryBytes(state.rssBytes)} of ${formatBinaryBytes(state.memoryBudgetBytes)}`
  const workers = `${state.workers} ${state.workers === 1 ? 'worker' : 'workers'}`
  lines.push(paint.dim(clip(`  ${workers} · ${memory}`, width - 1)))
  return lines.join('\n')
}

const LEAST_BAR = 10
const WIDEST_BAR = 32

function renderStage(stage: StageState, now: number, nameWidth: number, width: number, paint: Paint): string {
  const name = clip(stage.name, nameWidth).padEnd(nameWidth)
  if (stage.status === 'waiting') return paint.dim(clip(`  ${name}  waiting`, width - 1))
  const facts = stageFacts(stage, now)
  // The name, the percentage and the bar stay; facts leave from the right when the terminal is narrow.
  let room = width - 1 - (2 + nameWidth + 2 + 7)
  const shown = [...facts]
  while (shown.length > 0 && room - shown.join('').length - LEAST_BAR < 0) shown.pop()
  room -= shown.join('').length
  const bar = room >= LEAST_BAR ? renderBar(shareDone(stage), Math.min(WIDEST_BAR, room), paint) : ''
  const percent = `${Math.floor(shareDone(stage) * 100)} %`.padStart(7)
  const line = `  ${name}  ${bar}${percent}${shown.join('')}`
  return stripVTControlCharacters(line).length < width ? line : clip(`  ${name}${percent}`, width - 1)
}

/** Columns of fixed width, so that nothing jumps while numbers grow. */
function stageFacts(stage: StageState, now: number): string[] {
  const rate = speed(stage)
  const left = remainingSeconds(stage)
  const rows = `${formatShortCount(stage.rows)} rows`.padStart(14)
  const time =
    stage.status === 'finished' ? formatDuration(elapsedSeconds(stage, now)) : left === undefined ? '' : eta(left)
  const facts = [rows, (rate === undefined ? '' : formatRate(rate)).padStart(12), time.padStart(17)]
  if (stage.totalBytes > 0) facts.push(`${formatBytes(stage.bytes)} of ${formatBytes(stage.totalBytes)}`.padStart(24))
  return facts
}

const eta = (left: number): string => `ETA ${formatDuration(left)}`

function renderBar(share: number, width: number, paint: Paint): string {
  const full = Math.floor(share * width)
  return paint.accent('━'.repeat(full)) + paint.dim('╌'.repeat(width - full))
}

function clip(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`
}
