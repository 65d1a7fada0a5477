/**
 * A source path as a pattern: the literal folder it starts with, and a test for what lies below.
 */
import picomatch from 'picomatch'

export interface Pattern {
  /** As the user wrote it. */
  readonly text: string
  readonly isGlob: boolean
  /** The folder before the first glob character; the whole path when it is no glob. */
  readonly folder: string
  /** Whether the path below `folder` matches; everything does when it is no glob. */
  matches(path: string): boolean
  /** Whether files below the folder at this path, relative to `folder`, can match. */
  mayHold(path: string): boolean
  /** Whether the glob itself says which extensions it wants, as `*.log` does and `data/**` does not. */
  readonly namesExtension: boolean
}

/** Whether a path is an address in an object store. */
export function isRemote(path: string): boolean {
  return path.startsWith('s3://')
}

export function compilePattern(text: string): Pattern {
  const scheme = isRemote(text) ? 's3://' : ''
  const { base, glob, isGlob } = picomatch.scan(text.slice(scheme.length), { nonegate: true, unescape: true })
  if (!isGlob) return { text, isGlob, folder: text, matches: () => true, mayHold: () => true, namesExtension: false }
  // Newlines are legal in file names: let the dot of the regular expression match them.
  const test = picomatch(glob, { nonegate: true, flags: 's', windows: false })
  const depth = /\*\*|[({]/.test(glob) ? Number.POSITIVE_INFINITY : glob.split('/').length
  // picomatch itself lets `!(a)` match hidden files.
  const asksForHidden = /(?:^|[/{,(|])\\?\./.test(glob)
  const allowed = (path: string): boolean => asksForHidden || !/(?:^|\/)\./.test(path)
  return {
    text,
    isGlob,
    folder: scheme + base,
    matches: (path) => allowed(path) && test(path),
    mayHold: (path) => allowed(path) && path.split('/').length < depth,
    namesExtension: /\.[^/]*$/.test(glob),
  }
}
