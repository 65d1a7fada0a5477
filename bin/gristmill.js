#!/usr/bin/env node
// Scripts ask for the version often; it needs no parser of arguments.
if (process.argv.length === 3 && process.argv[2] === '--version') {
  const { VERSION } = await import('../dist/core/version.js')
  process.stdout.write(`${VERSION}\n`)
} else {
  const { main } = await import('../dist/cli/main.js')
  await main()
}
