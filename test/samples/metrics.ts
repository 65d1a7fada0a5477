/** Metrics of runs that never were: an ordinary one, an empty one, and one as large as they come. */
import type { GroupStatistics } from '../../src/kernels/stats.js'
import type { Metrics, StepMetrics } from '../../src/observe/metrics.js'

const step = (
  name: string,
  [rowsIn, rowsOut]: [number, number],
  [bytesIn, bytesOut]: [number, number],
  [busySeconds, waitSeconds]: [number, number],
): StepMetrics => ({ step: name, rowsIn, rowsOut, bytesIn, bytesOut, busySeconds, waitSeconds })

const bins = (counts: readonly number[]): { from: number; to: number; count: number }[] =>
  counts.map((count, at) => ({ from: at === 0 ? 0 : 2 ** (at - 1), to: 2 ** at, count }))

/** Statistics of so many groups of two columns. */
function statistics(groups: number, rows: number, ngram: string): NonNullable<Metrics['statistics']>[number] {
  const of = (column: string | null, value: string | null, share: number): GroupStatistics => ({
    column,
    value,
    rows: Math.round(rows * share),
    withoutText: column === null ? 12 : 0,
    lengths: (['bytes', 'characters', 'words'] as const).map((unit, at) => ({
      unit,
      total: Math.round(rows * share * (4812 >> (at * 2))),
      bins: bins([0, 0, 0, 1, 5, 0, 220, 800, 1200, 600, 90, 3]).filter(({ count }) => count > 0),
    })),
    ngrams: [1, 2, 3].map((n) => ({
      n,
      total: 48_120_000 - n,
      maxError: n === 3 ? 412 : 0,
      top: Array.from({ length: 20 }, (_, at) => [`${ngram} ${'of the '.repeat(n)}${at}`, 90_000 - 4000 * at] as const),
    })),
  })
  const values = (column: string): GroupStatistics[] =>
    Array.from({ length: groups }, (_, at) => of(column, `${column}-${at}`, 1 / (at + 2)))
  const all = [of(null, null, 1), ...values('source'), ...values('lang')]
  const pairs = Array.from({ length: 2 * groups }, (_, at) => ({
    ...of('source', `source-${at % groups}`, 1 / (at + 4)),
    column: 'source',
    value: `source-${at % groups}`,
    otherColumn: 'lang',
    otherValue: `lang-${at}`,
  }))
  const more = { moreGroups: groups, morePairs: 3 * groups, leftOutPairs: [['source', 'site']] }
  return { step: 'stats', groups: [...all, ...pairs], leftOut: ['host'], ...more }
}

export const ordinary: Metrics = {
  schemaVersion: 1,
  name: 'corpus',
  gristmillVersion: '0.1.0',
  startedAt: '2026-08-22T09:14:03.512Z',
  wallSeconds: 61.4,
  workers: 2,
  memoryBudgetBytes: 1.5 * 2 ** 30,
  totals: {
    inputFiles: 12,
    inputBytes: 181_224_310,
    decodedBytes: 512_034_117,
    rowsIn: 100_000,
    rowsOut: 96_408,
    removed: 3212,
    routed: 0,
    quarantined: 380,
    pruned: 0,
    tokens: 118_230_554,
    shards: 4,
    outputBytes: 236_461_108,
  },
  stages: [
    {
      name: 'read',
      tasksRun: 12,
      tasksSkipped: 0,
      wallSeconds: 19.2,
      steps: [
        step('read', [100_000, 99_620], [512_034_117, 498_112_004], [9.4, 1.1]),
        step('normalize', [99_620, 99_620], [498_112_004, 496_020_115], [7.8, 0]),
        {
          ...step('filter', [99_620, 98_101], [496_020_115, 494_871_332], [0.6, 0]),
          groups: [
            { column: 'lang', value: 'en', rowsIn: 97_514, removed: 312 },
            { column: 'lang', value: 'zh', rowsIn: 2106, removed: 1207 },
            { column: 'source,lang', value: 'web', otherValue: 'zh', rowsIn: 1904, removed: 1188 },
          ],
        },
        step('exact-dedup', [98_101, 96_408], [494_871_332, 489_102_220], [2.1, 0]),
        step('spill', [96_408, 96_408], [489_102_220, 171_210_044], [5.2, 0.9]),
      ],
    },
    {
      name: 'tokenize and write',
      tasksRun: 8,
      tasksSkipped: 0,
      wallSeconds: 41.7,
      steps: [
        step('shuffle', [96_408, 96_408], [171_210_044, 489_102_220], [3.9, 1.4]),
        { ...step('tokenize', [96_408, 96_408], [489_102_220, 472_922_216], [78.2, 0]), reusedRows: 1204 },
        step('pack', [96_408, 96_408], [771_264, 1_542_528], [0.2, 0]),
        step('write', [96_408, 96_408], [472_922_216, 236_461_108], [2.6, 0.8]),
      ],
    },
  ],
  removals: [
    { step: 'filter', rule: 'length(text) >= 64', rows: 1519 },
    { step: 'exact-dedup', rule: 'duplicate', rows: 1693 },
  ],
  edits: [
    { step: 'normalize', rule: 'javascript', rows: 4410, count: 7021, bytes: 812_004 },
    { step: 'normalize', rule: 'policy', rows: 96, count: 101, bytes: 9220 },
  ],
  quarantine: [
    { code: 'json-syntax', rows: 301 },
    { code: 'text-missing', rows: 79 },
  ],
  lengths: {
    unit: 'tokens',
    bins: bins([0, 0, 3, 11, 40, 210, 1804, 6120, 14_202, 22_803, 24_120, 15_811, 7420, 2790, 801, 221, 46, 6]),
  },
  packing: {
    length: 2048,
    strategy: 'best-fit',
    sequences: 57_741,
    documents: 96_408,
    pieces: 131_020,
    tokens: 118_230_554,
    utilisation: 118_230_554 / (57_741 * 2048),
    splitDocuments: 11_284,
    truncatedTokens: 0,
  },
  statistics: [statistics(3, 96_408, 'one')],
  memory: Array.from({ length: 123 }, (_, at) => ({
    seconds: at * 0.5,
    rssBytes: Math.round((120 + 360 * (1 - Math.exp(-at / 6)) + 60 * Math.sin(at / 5) + (at > 40 ? 90 : 0)) * 2 ** 20),
  })),
  bottleneck: {
    step: 'tokenize',
    share: 0.637,
    explanation:
      'tokenize computed for 78.2 s of 122.8 s of worker time and its input was ready whenever it asked. More workers would shorten the run; faster disks would not.',
  },
}

export const empty: Metrics = {
  ...ordinary,
  name: 'empty',
  wallSeconds: 0,
  workers: 1,
  totals: {
    inputFiles: 1,
    inputBytes: 0,
    decodedBytes: 0,
    rowsIn: 0,
    rowsOut: 0,
    removed: 0,
    quarantined: 0,
    pruned: 0,
    tokens: 0,
    shards: 0,
    outputBytes: 0,
  },
  stages: [
    { name: 'read', tasksRun: 0, tasksSkipped: 1, wallSeconds: 0, steps: [step('read', [0, 0], [0, 0], [0, 0])] },
  ],
  removals: [],
  edits: [],
  quarantine: [],
  lengths: { unit: 'tokens', bins: [] },
  statistics: [{ step: 'stats', groups: [], moreGroups: 0, leftOut: [], morePairs: 0, leftOutPairs: [] }],
  packing: {
    length: 2048,
    strategy: 'concat',
    sequences: 0,
    documents: 0,
    pieces: 0,
    tokens: 0,
    utilisation: 0,
    splitDocuments: 0,
    truncatedTokens: 0,
  },
  memory: [],
  bottleneck: undefined,
}

const rules = Array.from({ length: 50 }, (_, at) => ({
  step: at % 2 === 0 ? 'filter' : 'map',
  rule: at === 0 ? '<img src=x onerror="alert(`&`)">' : `rule ${at} of a list that somebody wrote by hand`,
  rows: Math.round(2e9 / (at + 1) ** 1.4),
}))

export const huge: Metrics = {
  ...ordinary,
  name: '<script>alert(1)</script> a-run-with-a-name-that-is-much-longer-than-anybody-would-choose-but-somebody-will',
  wallSeconds: 412_345,
  workers: 192,
  memoryBudgetBytes: 700 * 2 ** 30,
  totals: {
    inputFiles: 123_456,
    inputBytes: 1_400_000_000_000,
    decodedBytes: 4_812_345_678_901,
    rowsIn: 8_123_456_789,
    rowsOut: 1_234_567_890,
    removed: rules.reduce((sum, rule) => sum + rule.rows, 0),
    quarantined: 12,
    pruned: 88_000_000,
    tokens: 1_000_000_000_000,
    shards: 18_000,
    outputBytes: 4_000_000_000_000,
  },
  removals: rules,
  statistics: [statistics(50, 1_234_567_890, '<img src=x onerror="alert(`&`)">')],
  quarantine: [{ code: 'json-syntax', rows: 12 }],
  lengths: {
    unit: 'bytes',
    bins: bins(Array.from({ length: 38 }, (_, at) => Math.round(4e9 * Math.exp(-(((at - 12) / 4) ** 2))) + 1)),
  },
  memory: Array.from({ length: 40_000 }, (_, at) => ({
    seconds: at * 10.3,
    rssBytes: at === 20_001 ? 680 * 2 ** 30 : (200 + ((at * 7919) % 100)) * 2 ** 30,
  })),
}
