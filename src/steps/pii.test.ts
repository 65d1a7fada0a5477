import { expect, test } from 'vitest'
import { TEXT, runStep } from '../../test/run-step.js'
import { PiiFinder, piiKinds } from '../kernels/pii.js'
import { pii } from './pii.js'

const EMAIL = 'anna.schmidt@uni-koeln.de'
const PHONE = '+49 221 4701234'
const CARD = '4539 1488 0343 6467'
const KEY = 'ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8'
const RESIDENT = '11010519491231002X'
const DOCUMENT = `Write to ${EMAIL} or call ${PHONE}; from 8.8.8.8, not 192.168.0.1. 身份证${RESIDENT}，${CARD}，${KEY}。`

function run(config: object, texts: readonly (string | null)[]): ReturnType<typeof runStep> {
  return runStep(pii, config, { rows: texts.map((text) => ({ text })), columns: TEXT })
}

test('private data is masked by its kind', async () => {
  const { rows } = await run({}, [DOCUMENT, 'nothing here', null])
  expect(rows.map(({ text }) => text)).toEqual([
    'Write to <EMAIL> or call <PHONE>; from <IP>, not 192.168.0.1. 身份证<RESIDENT_ID>，<CREDIT_CARD>，<API_KEY>。',
    'nothing here',
    null,
  ])
})

test('a harmless value can take its place, and a second run changes nothing', async () => {
  const config = { action: 'replace', kinds: ['email', 'phone', 'ip'], with: { phone: '(number)' } }
  const once = await run(config, [DOCUMENT])
  const text = String(once.rows[0]!['text'])
  expect(text).toContain('Write to name@example.com or call (number); from 192.0.2.1, not 192.168.0.1.')
  const twice = await run(config, [text])
  expect(twice.rows[0]!['text']).toBe(text)
  expect(twice.edits()).toEqual([])
})

test('all that is put in place of something stays when it is met again', async () => {
  const texts = ['a@x.org', PHONE, '9.9.9.9', CARD, 'DE89370400440532013000', RESIDENT, KEY]
  const { rows } = await run({ action: 'replace' }, texts)
  const again = await run(
    { action: 'replace' },
    rows.map(({ text }) => String(text)),
  )
  expect(again.rows.map(({ text }) => text)).toEqual(rows.map(({ text }) => text))
  expect(again.edits()).toEqual([])
})

test('records say the kind and how much, never what', async () => {
  const { edits } = await run({}, ['clean', DOCUMENT])
  const records = edits()
  expect(records.map(({ rule, count, bytes }) => [rule, count, bytes])).toEqual([
    ['email', 1, EMAIL.length],
    ['phone', 1, PHONE.length],
    ['ip', 1, 7],
    ['credit-card', 1, CARD.length],
    ['resident-id', 1, RESIDENT.length],
    ['api-key', 1, KEY.length],
  ])
  expect(records.every(({ step, position }) => step === 'pii' && position === 1)).toBe(true)
})

test('documents are dropped under the kind found, with the place of the first', async () => {
  const dropped = await run({ action: 'drop', kinds: ['ip', 'email'] }, ['clean', `é ${EMAIL}`, 'at 8.8.4.4', PHONE])
  expect(dropped.rows.map(({ text }) => text)).toEqual(['clean', PHONE])
  const records = dropped.removed()
  expect(records.map(({ rule, value, threshold }) => [rule, value, threshold])).toEqual([
    ['email', 3, null],
    ['ip', 3, null],
  ])
  expect(JSON.stringify(records)).not.toMatch(/schmidt|8\.8/)
})

test('documents are routed whole, with the kind and the place that sent them', async () => {
  const sent = `${PHONE} or ${EMAIL}`
  const routed = await run({ action: 'route', kinds: ['email', 'phone'] }, ['clean', sent, CARD, null])
  expect(routed.rows.map(({ text }) => text)).toEqual(['clean', CARD, null])
  expect([routed.removed(), routed.edits()]).toEqual([[], []])
  expect(routed.routed()).toEqual([
    expect.objectContaining({ position: 1, text: sent, routed_rule: 'email', routed_value: PHONE.length + 4 }),
  ])
})

test('annotate counts each kind and changes nothing', async () => {
  const { rows, columns } = await run({ mode: 'annotate', kinds: ['email', 'credit-card'] }, [
    `${EMAIL} ${EMAIL} ${CARD}`,
    'clean',
    null,
  ])
  expect(columns.slice(1)).toEqual([
    { name: 'pii_email', type: 'int64' },
    { name: 'pii_credit_card', type: 'int64' },
  ])
  expect(rows.map((row) => [row['pii_email'], row['pii_credit_card']])).toEqual([
    [2, 1],
    [0, 0],
    [null, null],
  ])
})

test('the kinds of the configuration are those of the kernel', () => {
  const parsed = pii.config.parse({}) as { kinds: string[] }
  expect(parsed.kinds).toEqual(piiKinds())
})

test('places are bytes of UTF-8', () => {
  expect(new PiiFinder(['email']).find('联系a@x.org。')).toEqual([{ kind: 'email', start: 6, end: 13 }])
  expect(() => new PiiFinder(['name'])).toThrow("there is no kind 'name'")
})

test('long texts without private data, and of one character, are read in one go', async () => {
  const texts = ['1'.repeat(3_000_000), '+1 '.repeat(1_000_000), 'a@'.repeat(1_500_000), ':'.repeat(3_000_000)]
  texts.push('10.1.2.3 '.repeat(300_000), 'v 8.8.8.8 '.repeat(300_000), '-----BEGIN PRIVATE KEY-----\n'.repeat(100_000))
  const { rows } = await run({}, texts)
  expect(rows.map(({ text }) => text)).toEqual(texts)
})

test('what cannot work is said before the run', async () => {
  await expect(run({ column: 'body' }, [])).rejects.toThrow("there is no column 'body'")
  await expect(run({ kinds: ['email'], with: { phone: 'x' } }, [])).rejects.toMatchObject({
    message: "steps[0].pii.with: nothing is put in place of 'phone': 'phone' is not among the kinds",
  })
  await expect(run({ action: 'drop', with: { email: 'x' } }, [])).rejects.toThrow('documents are dropped')
  await expect(run({ action: 'route', with: { email: 'x' } }, [])).rejects.toThrow('documents are routed')
  const numbers = [{ name: 'text', type: 'int64' }] as const
  await expect(runStep(pii, {}, { rows: [], columns: numbers })).rejects.toThrow("column 'text' is int64, not text")
  expect(() => pii.config.parse({ kinds: ['mail'] })).toThrow('Invalid option')
})
