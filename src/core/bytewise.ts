/**
 * The order of rows and files: by the bytes of their UTF-8, as every tool outside JavaScript sorts.
 *
 * JavaScript compares strings by UTF-16 unit, which puts U+1F600 before U+FF01; bytes say otherwise.
 */

/** Compares two strings by their UTF-8 bytes, without encoding them. */
export function compareBytewise(a: string, b: string): number {
  const shared = Math.min(a.length, b.length)
  for (let i = 0; i < shared; i++) {
    const [left, right] = [a.charCodeAt(i), b.charCodeAt(i)]
    if (left !== right) return rank(left) - rank(right)
  }
  return a.length - b.length
}

/** Surrogates stand for code points above U+FFFF, so they move behind U+E000 to U+FFFF. */
function rank(unit: number): number {
  if (unit >= 0xe000) return unit - 0x800
  return unit >= 0xd800 ? unit + 0x2000 : unit
}
