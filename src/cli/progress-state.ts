/** What a run has done so far, as events tell it; drawing is in `progress.ts`. Pure: time comes in. */
import type { RunEvent } from '../observe/metrics.js'

/** Speed is measured over this many seconds, so that it neither jumps nor lags. */
const WINDOW_SECONDS = 8

interface Sample {
  readonly at: number
  readonly bytes: number
}

export interface StageState {
  readonly name: string
  readonly status: 'waiting' | 'running' | 'finished'
  readonly tasks: number
  readonly tasksDone: number
  readonly tasksSkipped: number
  readonly rows: number
  readonly bytes: number
  readonly totalBytes: number
  /** Seconds on the display's clock. */
  readonly startedAt: number
  readonly endedAt: number | undefined
  readonly samples: readonly Sample[]
}

export interface ProgressState {
  readonly name: string
  readonly workers: number
  readonly memoryBudgetBytes: number
  readonly rssBytes: number
  readonly stages: readonly StageState[]
}

export const NOTHING_YET: ProgressState = { name: '', workers: 0, memoryBudgetBytes: 0, rssBytes: 0, stages: [] }

/** The state after an event that came at second `now`. */
export function advance(state: ProgressState, event: RunEvent, now: number): ProgressState {
  switch (event.event) {
    case 'plan': {
      const { name, workers, memoryBudgetBytes } = event
      return { ...state, name, workers, memoryBudgetBytes, stages: event.stages.map((stage) => waiting(stage)) }
    }
    case 'stage': {
      if (!state.stages.some((stage) => stage.name === event.stage)) return state
      const started = (stage: StageState): StageState => ({
        ...stage,
        status: 'running',
        tasks: event.tasks,
        tasksDone: event.skipped,
        tasksSkipped: event.skipped,
        startedAt: now,
      })
      return withStage(othersEnded(state, event.stage, now), event.stage, started)
    }
    case 'progress': {
      const moved = (stage: StageState): StageState => ({
        ...stage,
        status: 'running',
        startedAt: stage.status === 'running' ? stage.startedAt : now - event.seconds,
        tasks: event.tasks,
        tasksDone: event.tasksDone,
        rows: event.rows,
        bytes: event.bytes,
        totalBytes: event.totalBytes,
        samples: withSample(stage.samples, { at: now, bytes: event.bytes }),
      })
      return withStage({ ...othersEnded(state, event.stage, now), rssBytes: event.rssBytes }, event.stage, moved)
    }
    case 'done':
      return { ...state, stages: state.stages.map((stage) => ended(stage, now)) }
    default:
      return state
  }
}

/** Share of a stage that is done, 0 to 1; by bytes where they are known, else by tasks. */
export function shareDone(stage: StageState): number {
  if (stage.status === 'finished') return 1
  if (stage.status === 'waiting') return 0
  const byTasks = stage.tasks > 0 ? stage.tasksDone / stage.tasks : 0
  return Math.min(1, stage.totalBytes > 0 ? stage.bytes / stage.totalBytes : byTasks)
}

/** Bytes a second: lately while the stage runs, over all of it afterwards; undefined before there are two looks. */
export function speed(stage: StageState): number | undefined {
  const first = stage.samples[0]
  const last = stage.samples.at(-1)
  if (first === undefined || last === undefined) return undefined
  if (stage.endedAt !== undefined && stage.tasksSkipped === 0) {
    const seconds = stage.endedAt - stage.startedAt
    return seconds > 0 ? stage.bytes / seconds : undefined
  }
  return last.at - first.at > 0 ? (last.bytes - first.bytes) / (last.at - first.at) : undefined
}

/** Seconds until the stage ends at its present speed. */
export function remainingSeconds(stage: StageState): number | undefined {
  const rate = speed(stage)
  if (stage.status !== 'running' || rate === undefined || rate <= 0 || stage.totalBytes <= 0) return undefined
  return Math.max(0, stage.totalBytes - stage.bytes) / rate
}

export function elapsedSeconds(stage: StageState, now: number): number {
  return (stage.endedAt ?? now) - stage.startedAt
}

function waiting(stage: { readonly name: string; readonly tasks: number }): StageState {
  return {
    name: stage.name,
    status: 'waiting',
    tasks: stage.tasks,
    tasksDone: 0,
    tasksSkipped: 0,
    rows: 0,
    bytes: 0,
    totalBytes: 0,
    startedAt: 0,
    endedAt: undefined,
    samples: [],
  }
}

function ended(stage: StageState, now: number): StageState {
  return stage.status === 'running' ? { ...stage, status: 'finished', tasksDone: stage.tasks, endedAt: now } : stage
}

/** Stages follow one another: when one shows itself, those before it have ended. */
function othersEnded(state: ProgressState, name: string, now: number): ProgressState {
  return { ...state, stages: state.stages.map((stage) => (stage.name === name ? stage : ended(stage, now))) }
}

function withStage(state: ProgressState, name: string, change: (stage: StageState) => StageState): ProgressState {
  const known = state.stages.some((stage) => stage.name === name)
  const stages = known ? state.stages : [...state.stages, waiting({ name, tasks: 0 })]
  return { ...state, stages: stages.map((stage) => (stage.name === name ? change(stage) : stage)) }
}

/** Keeps the samples of the window, and the one before it as its far end. */
function withSample(samples: readonly Sample[], sample: Sample): readonly Sample[] {
  const from = samples.findLastIndex((old) => old.at <= sample.at - WINDOW_SECONDS)
  return [...samples.slice(Math.max(0, from)), sample]
}
