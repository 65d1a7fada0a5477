import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { testFolder } from '../../../test/folder.js'
import { planServePage, planTrainPage } from '../plan.js'

// Debian's Chromium; `script/setup` names the package when it is missing.
const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium'
const folder = testFolder('plan')
let browser: Browser

beforeAll(async () => {
  const args = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-dev-shm-usage']
  browser = await chromium.launch({ executablePath, args })
}, 60_000)

afterAll(async () => {
  await browser.close()
})

interface View {
  readonly colorScheme: 'light' | 'dark'
  readonly width?: number
}

/** Opens a page and hands it to `look`; fails on any message of the console, any request, any sideways scrolling. */
async function open(
  html: string | null,
  { colorScheme, width = 1200 }: View,
  look: (page: Page) => Promise<void>,
): Promise<void> {
  const file = join(folder, 'plan.html')
  writeFileSync(file, html ?? '')
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme })
  const messages: string[] = []
  page.on('console', (message) => messages.push(message.text()))
  page.on('pageerror', (error) => messages.push(error.message))
  page.on('request', (request) => {
    if (request.url() !== pathToFileURL(file).href && request.url() !== 'data:,') messages.push(request.url())
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

const trained = planTrainPage({
  model: 'llama-3-70b',
  gpus: '64xH100',
  seq: 8192,
  globalBatch: 128,
  pp: 4,
  tokens: '15T',
  price: 2,
})

test.each(['light', 'dark'] as const)('a training plan in %s', async (colorScheme) => {
  const { plan, html } = trained
  await open(html, { colorScheme }, async (page) => {
    expect(await page.locator('h2').allInnerTexts()).toEqual([
      'Memory of a GPU by stage',
      'Where the time of a step goes',
      'Schedule',
      'Map of layouts',
      'Layouts',
      'Why not its neighbours',
      'Advice',
      'Inputs',
      'Where the numbers come from',
    ])
    const text = await page.innerText('main')
    expect(text).toContain('70,553,706,496')
    expect(text).not.toMatch(/NaN|Infinity|undefined|\[object/)
    // A bar for each stage, a lane for each stage, a cell for each tensor size that divides the heads.
    expect(await page.locator('.bars').first().locator('.track').count()).toBe(plan.memory?.stages.length)
    expect(await page.locator('.timeline rect.idle').count()).toBe(4)
    expect(await page.locator('.heat > div.best').count()).toBe(1)
    const [background, ink] = await colours(page)
    const light = (colour: string): boolean => Number(/\d+/.exec(colour)?.[0]) > 128
    expect([light(background), light(ink)]).toEqual(colorScheme === 'light' ? [true, false] : [false, true])
  })
})

test('fits a telephone, and names are text, not HTML', async () => {
  const shape = { layers: 2, hidden: 256, heads: 4, ffn: 512, vocab: 1000 }
  const { html } = planServePage({ shape, gpus: '1xL4', prompt: 100, output: 100, id: '<img src=x onerror=alert(1)>' })
  await open(html, { colorScheme: 'dark', width: 390 }, async (page) => {
    expect(await page.locator('img, script').count()).toBe(0)
    expect(await page.innerText('main')).toContain('Against concurrency')
  })
  await open(trained.html, { colorScheme: 'light', width: 390 }, async (page) => {
    expect(await page.locator('h1').innerText()).toBe('llama-3-70b')
  })
})

test('what does not fit says so, and what would', async () => {
  const { plan, html } = planTrainPage({ model: 'llama-3-70b', gpus: '1xH100', search: false })
  expect(plan.status).toBe('does-not-fit')
  await open(html, { colorScheme: 'light' }, async (page) => {
    expect(await page.innerText('section.alert')).toContain(`Does not fit: ${plan.reason}`)
    expect(await page.locator('.over').count()).toBeGreaterThan(0)
  })
})

test('is small, and the same plan gives the same page', () => {
  expect(trained.html!.length).toBeLessThan(300_000)
  const again = planTrainPage({
    model: 'llama-3-70b',
    gpus: '64xH100',
    seq: 8192,
    globalBatch: 128,
    pp: 4,
    tokens: '15T',
    price: 2,
  })
  expect(again.html).toBe(trained.html)
})

test('a refused request has no page', () => {
  expect(planTrainPage({ model: 'llama-3-70b', gpus: '1xabacus' }).html).toBe(null)
})
