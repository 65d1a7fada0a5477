/**
 * Reads the next chunk while the caller works on this one. At most two chunks exist at a time.
 */
export async function* readAhead(chunks: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  let next = chunks.next()
  try {
    for (;;) {
      const { value, done } = await next
      if (done) return
      next = chunks.next()
      // Its failure belongs to the caller's next request; until then nobody awaits it.
      next.catch(() => undefined)
      yield value
    }
  } finally {
    // The caller may leave in the middle: let the read under way end before its file is closed.
    await next.catch(() => undefined)
    await chunks.return(undefined)
  }
}
