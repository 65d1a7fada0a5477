import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { testFolder } from '../../test/folder.js'
import { empty, huge, ordinary } from '../../test/samples/metrics.js'
import type { Metrics } from './metrics.js'
import { renderReport } from './report.js'

// Debian's Chromium; `script/setup` names the package when it is missing.
const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium'
const folder = testFolder('report')
let browser: Browser

beforeAll(async () => {
  const args = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-dev-shm-usage']
  browser = await chromium.launch({ executablePath, args })
}, 60_000)

afterAll(async () => {
  await browser.close()
})

/** Opens the report and hands the page to `look`; fails on any message of the console or any request. */
async function open(
  metrics: Metrics,
  options: { colorScheme: 'light' | 'dark'; width?: number },
  look: (page: Page) => Promise<void>,
): Promise<void> {
  const file = join(folder, 'report.html')
  writeFileSync(file, renderReport(metrics))
  const viewport = { width: options.width ?? 1200, height: 900 }
  const page = await browser.newPage({ viewport, colorScheme: options.colorScheme })
  const messages: string[] = []
  page.on('console', (message) => messages.push(message.text()))
  page.on('pageerror', (error) => messages.push(error.message))
  page.on('request', (request) => {
    if (request.url() !== pathToFileURL(file).href && request.url() !== 'data:,') messages.push(request.url())
  })
  page.on('dialog', (dialog) => {
    messages.push('dialog')
    void dialog.dismiss()
  })
  try {
    await page.goto(pathToFileURL(file).href)
    await look(page)
    const wide = await page.evaluate<boolean>('document.documentElement.scrollWidth > innerWidth')
    expect({ messages, wide }).toEqual({ messages: [], wide: false })
  } finally {
    await page.close()
  }
}

const colours = (page: Page): Promise<[string, string]> =>
  page.evaluate<[string, string]>(
    '[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]',
  )

test.each(['light', 'dark'] as const)('shows the exact numbers of an ordinary run in %s', async (colorScheme) => {
  await open(ordinary, { colorScheme }, async (page) => {
    const text = await page.innerText('main')
    const numbers = [
      '100,000',
      '96,408',
      '118,230,554',
      '3,212',
      '1,693',
      '57,741',
      '23,014',
      '8.34 MB/s',
      '63.7 %',
      '7,021',
      '57.31 %',
      'Too many values to group by: host.',
      'Counts may be too low, by 412 at most.',
      '1,204 rows took their tokens from an identical text',
    ]
    for (const number of numbers) expect(text).toContain(number)
    const titles = await page.locator('h2').allInnerTexts()
    expect(titles).toEqual([
      'What bounded the run',
      'Where the rows went',
      'Packing',
      'Where time went',
      'Throughput per step',
      'Length of documents',
      'Memory over time',
      'Removals by rule',
      'Quarantine',
      'Edits by rule',
      'Removals by source and language',
      'Corpus at stats',
      'Corpus at stats by source and lang',
      'Length of documents at stats',
      'Frequent n-grams at stats',
    ])
    const [background, ink] = await colours(page)
    const light = (colour: string): boolean => Number(/\d+/.exec(colour)?.[0]) > 128
    expect([light(background), light(ink)]).toEqual(colorScheme === 'light' ? [true, false] : [false, true])
  })
})

test('pairs are a table of the largest first, the others folded away, and what a step removed of them is, too', async () => {
  await open(ordinary, { colorScheme: 'light' }, async (page) => {
    const rows = page.getByRole('table', { name: 'Corpus at stats by source and lang' }).getByRole('row')
    const cells = await rows.allInnerTexts()
    expect(cells.map((row) => row.split('\t').slice(0, 3).join(' '))).toEqual([
      'source lang Documents',
      'source-0 lang-0 24,102',
      'source-1 lang-1 19,282',
      'source-2 lang-2 16,068',
      'source-0 lang-3 13,773',
      'source-1 lang-4 12,051',
      'source-2 lang-5 10,712',
    ])
    const removed = page.getByText('web, zh')
    expect(await removed.isVisible()).toBe(false)
    await page.getByText('By both together').click()
    await removed.waitFor({ state: 'visible' })
  })
  await open(huge, { colorScheme: 'light' }, async (page) => {
    const table = page.getByRole('table', { name: 'Corpus at stats by source and lang', exact: true })
    expect(await table.getByRole('row').count()).toBe(16)
    expect(await page.innerText('main')).toContain(
      'smaller ones are in the files alone. Too many pairs to group by: source and site.',
    )
  })
})

test('an empty run is a page like any other', async () => {
  await open(empty, { colorScheme: 'light' }, async (page) => {
    const text = await page.innerText('main')
    expect(text).toContain('Every record could be read.')
    expect(text).not.toMatch(/NaN|Infinity|undefined/)
  })
})

test('a huge run fits, on a telephone too, and names are text, not HTML', async () => {
  for (const width of [1200, 390]) {
    await open(huge, { colorScheme: 'dark', width }, async (page) => {
      expect(await page.innerText('h1')).toBe(huge.name)
      expect(await page.innerText('main')).toContain('1,000,000,000,000')
      expect(await page.locator('img, script').count()).toBe(0)
      await page.getByText('35 more').click()
      await page.getByText('rule 49 of a list').waitFor({ state: 'visible' })
      expect(await page.locator('polyline').getAttribute('points')).toMatch(/^(\d+\.\d,\d+\.\d ?){2,300}$/)
    })
  }
})

test('is small, whatever the run', () => {
  expect(renderReport(huge).length).toBeLessThan(300_000)
})

test('the same metrics give the same page', () => {
  expect(renderReport(structuredClone(ordinary))).toBe(renderReport(ordinary))
})
