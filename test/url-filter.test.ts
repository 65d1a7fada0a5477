/**
 * `url-filter` against datatrove's URLFilter, on addresses of all shapes and on those that real documents hold.
 *
 * Ours differs where it is said (crates/kernels/src/quality/url_filter.rs): case never counts, so the addresses here
 * have none; and a listed domain stands for all below it, so no domain listed here lies between the one that somebody
 * registered and the host.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { urlFilter } from '../src/steps/url-filter.js'
import { askOracle } from './oracle.js'
import { realDocuments } from './real-documents.js'
import { runStep } from './run-step.js'

const REASONS: Readonly<Record<string, string>> = {
  domain: 'domains',
  subdomain: 'domains',
  url: 'urls',
  hard_blacklisted: 'words',
  soft_blacklisted: 'maxSoftWords',
  blacklisted_subword: 'substrings',
}

const WORDS = ['casino', 'free', 'win', 'shop', 'blog', 'a', '1', 'freewin', 'x2', 'wiki']
const HOSTS = ['spam.com', 'spam.co.uk', 'good.org', 'spam.org', 'win.net', 'b.spam.co.jp', 'www.win.net']
const ADDRESS = 'http://good.org/free'

const word = fc.constantFrom(...WORDS)
const separator = fc.constantFrom('/', '-', '_', '.', '?', '=', '&', '%20', '+', '')
const path = fc.array(fc.tuple(separator, word), { maxLength: 6 }).map((parts) => parts.flat().join(''))
const generated = fc
  .tuple(
    fc.constantFrom('http://', 'https://', '//', ''),
    fc.constantFrom('', '', '', 'user@', 'user:free@'),
    fc.constantFrom('', '', 'www.', 'a.', 'casino.', 'a.b.'),
    fc.constantFrom(...HOSTS),
    fc.constantFrom('', '', ':8080'),
    path.map((text) => (text === '' || text.startsWith('?') ? text : `/${text}`)),
  )
  .map((parts) => parts.join(''))

test('rows leave for the same reasons', async () => {
  const found = realDocuments()
    .flatMap((text) => text.match(/https?:\/\/[\w./?=&%:#~-]+/gu) ?? [])
    .map((url) => url.toLowerCase())
  const real = [...new Set(found)].filter((_url, at) => at % 5 === 0)
  const urls = [...new Set([...fc.sample(generated, { numRuns: 3000, seed: 11 }), ...real, ADDRESS])]
  expect(real.length).toBeGreaterThan(200)
  const lists = {
    domains: ['spam.com', 'spam.co.uk', 'a.b.good.org', 'npmjs.com', 'docs.python.org'],
    urls: [ADDRESS, 'http://win.net', ...real.slice(0, 5)],
    words: ['casino', 'Wiki', 'issues'],
    softWords: ['free', 'win', 'shop', 'docs', 'blob'],
    substrings: ['free-win', 'blogblog', 'license'],
  }
  const expected = askOracle<(string | null)[]>('datatrove_urls.py', { urls, lists, soft: 2 })
  const columns = [{ name: 'url', type: 'string' }] as const
  const rows = urls.map((url, position) => ({ url, position }))
  const run = await runStep(urlFilter, { ...lists, maxSoftWords: 1 }, { rows, columns })
  const rules = new Map(run.removed().map(({ position, rule }) => [Number(position), rule]))
  const wrong = urls.flatMap((url, at) => {
    const reason = expected[at]!
    const ours = rules.get(at) ?? null
    return ours === (reason === null ? null : REASONS[reason]) ? [] : [{ url, ours, reason }]
  })
  expect(wrong).toEqual([])
  expect(new Set(expected)).toEqual(new Set([null, ...Object.keys(REASONS)]))
})
