import { expect, test } from 'vitest'
import { printable } from './inspection.js'

test('text of strangers does not steer the terminal', () => {
  expect(printable('a\u001B[2Jb\r\nc\td\u0007\u202Ee\u009B1m\r')).toBe('a␛[2Jb\nc\td␇\uFFFDe\uFFFD1m␍')
})
