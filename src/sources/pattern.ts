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
  const options = { nonegate: true, flags: 's', windows: false }
  const matches = picomatch(glob, options)
  const depth = /\*\*|[({]/.test(glob) ? Number.POSITIVE_INFINITY : glob.split('/').length
  const wantsHidden = /(?:^|[/{,(|])\\?\./.test(glob)
  return {
    text,
    isGlob,
    folder: scheme + base,
    matches: (path) => matches(path),
    mayHold: (path) => path.split('/').length < depth && (wantsHidden || !/(?:^|\/)\./.test(path)),
    namesExtension: /\.[^/]*$/.test(glob),
  }
}
