import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  formatBinaryBytes,
  formatBytes,
  formatCount,
  formatDuration,
  formatPercent,
  formatShortCount,
  parseBytes,
} from './units.js'

test.each([
  ['4GiB', 4 * 2 ** 30],
  ['512MiB', 512 * 2 ** 20],
  ['512 mib', 512 * 2 ** 20],
  ['64KiB', 65_536],
  ['2GB', 2e9],
  ['1.5GB', 1.5e9],
  ['300KB', 300_000],
  ['1048576', 1_048_576],
  ['10b', 10],
  ['50%', 500],
])('reads %s as a size', (text, bytes) => {
  expect(parseBytes(text, '--memory', 1000)).toBe(bytes)
})

test.each(['', '4G', 'GiB', '-1GiB', '0', '1e3', '4 gigabytes', '101%', 'constructor', '1 toString'])(
  'refuses %j as a size and says how to write one',
  (text) => {
    expect(() => parseBytes(text, '--memory', 1000)).toThrowError(
      expect.objectContaining({ code: 'GM_USAGE', hint: expect.stringContaining('4GiB') }),
    )
  },
)

test('a share needs a whole', () => {
  expect(() => parseBytes('50%', '--memory')).toThrow('is no size')
})

test('formats bytes, counts and durations', () => {
  expect([0, 999, 1000, 1_234_567, 99_960_000, 1e12, 9_999_999].map(formatBytes)).toEqual([
    '0 B',
    '999 B',
    '1.00 kB',
    '1.23 MB',
    '100 MB',
    '1.00 TB',
    '10.0 MB',
  ])
  expect([1023, 1024, 4 * 2 ** 30, 700 * 2 ** 20].map(formatBinaryBytes)).toEqual([
    '1,023 B',
    '1.00 KiB',
    '4.00 GiB',
    '700 MiB',
  ])
  expect([0, 12, 1234, 1_000_000_000_000].map(formatCount)).toEqual(['0', '12', '1,234', '1,000,000,000,000'])
  expect([950, 1_200_000, 1e12].map(formatShortCount)).toEqual(['950', '1.20 M', '1.00 T'])
  expect([0, 9.94, 59.4, 59.6, 185, 3599.7, 7620].map(formatDuration)).toEqual([
    '0.0 s',
    '9.9 s',
    '59 s',
    '1 min 00 s',
    '3 min 05 s',
    '1 h 00 min',
    '2 h 07 min',
  ])
})

test('a share that is not nothing or all never reads as such', () => {
  expect([0, 0.0001, 0.123, 0.9999, 1].map((share) => formatPercent(share))).toEqual([
    '0.0 %',
    '< 0.1 %',
    '12.3 %',
    '> 99.9 %',
    '100.0 %',
  ])
})

test('a formatted size reads back within a half of its last digit', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 49 }), (bytes) => {
      const back = parseBytes(formatBytes(bytes).replaceAll(',', ''), 'x')
      expect(Math.abs(back - bytes) / bytes).toBeLessThan(0.0051)
    }),
  )
})
