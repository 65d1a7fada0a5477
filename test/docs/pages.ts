/**
 * The repository's documents as the tests see them: fenced blocks, what is to be done with each, and links.
 *
 * CONTRIBUTING.md and docs/README.md state the rules for writers; `run-page.ts` carries them out.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'

export const ROOT = path.join(import.meta.dirname, '../..')

/** What a comment before a block says of it. */
export type Directive =
  /** The block is a file of the page's folder. */
  | { readonly kind: 'file'; readonly name: string }
  /** The block cannot be run here, and why. */
  | { readonly kind: 'not run'; readonly reason: string }
  /** The block ends with this exit code. */
  | { readonly kind: 'exit'; readonly code: number }

export interface Block {
  /** As in `docs/resume.md:17`. */
  readonly place: string
  readonly language: string
  readonly code: string
  readonly directive: Directive | undefined
}

export interface Page {
  /** Relative to the repository. */
  readonly name: string
  readonly text: string
  readonly blocks: readonly Block[]
  /** Targets of links and images, fragments included. */
  readonly links: readonly { readonly place: string; readonly target: string }[]
  /** What `#…` may name. */
  readonly anchors: ReadonlySet<string>
}

/** Every document, sorted by name. */
export function readPages(): Page[] {
  const below = (folder: string, recursive: boolean): string[] =>
    readdirSync(path.join(ROOT, folder), { recursive, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => path.join(folder, name))
  const names = [
    ...below('', false),
    ...below('docs', true),
    ...(existsSync(path.join(ROOT, 'bench')) ? below('bench', false) : []),
  ]
  return names.sort().map((name) => readPage(name, readFileSync(path.join(ROOT, name), 'utf8')))
}

export function readPage(name: string, text: string): Page {
  const blocks: Block[] = []
  const links: { place: string; target: string }[] = []
  const anchors = new Set<string>()
  const lines = text.split('\n')
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!
    const fence = /^(?<indent>\s*)(?<ticks>`{3,})(?<language>\S*)\s*$/u.exec(line)
    if (!fence) {
      for (const target of linksOf(line)) links.push({ place: `${name}:${at + 1}`, target })
      const heading = /^#{1,6} (?<title>.*)$/u.exec(line)?.groups?.['title']
      if (heading !== undefined) anchors.add(anchorOf(heading))
      continue
    }
    const { indent = '', ticks = '', language = '' } = fence.groups!
    const end = lines.findIndex((other, index) => index > at && other.trimEnd() === indent + ticks)
    if (end < 0) throw new Error(`${name}:${at + 1}: the block has no end`)
    const code = lines
      .slice(at + 1, end)
      .map((inner) => inner.slice(indent.length))
      .join('\n')
    blocks.push({
      place: `${name}:${at + 1}`,
      language,
      code,
      directive: directiveOf(lines[at - 1] ?? '', `${name}:${at}`),
    })
    at = end
  }
  return { name, text, blocks, links, anchors }
}

function directiveOf(line: string, place: string): Directive | undefined {
  const comment = /^\s*<!-- (?<kind>file|not run|exit): (?<value>.+) -->$/u.exec(line)?.groups
  if (!comment) {
    if (/^\s*<!-- (?!generated|end)/u.test(line)) throw new Error(`${place}: '${line.trim()}' is no directive`)
    return undefined
  }
  const value = comment['value']!
  if (comment['kind'] === 'file') return { kind: 'file', name: value }
  if (comment['kind'] === 'exit') return { kind: 'exit', code: Number(value) }
  return { kind: 'not run', reason: value }
}

/** Link targets of a line, outside inline code. */
function linksOf(line: string): string[] {
  const prose = line.replaceAll(/`[^`]*`/gu, (code) => ' '.repeat(code.length))
  const markdown = [...prose.matchAll(/\]\((?<target>[^)\s]+)\)/gu)].map((match) => match.groups!['target']!)
  const html = [...prose.matchAll(/(?:src|href|srcset)="(?<target>[^"]+)"/gu)].map((match) => match.groups!['target']!)
  return [...markdown, ...html]
}

/** The anchor GitHub gives a heading. */
function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(/\s/gu, '-')
}
