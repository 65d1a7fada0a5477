#!/usr/bin/env node
/** The `gristmill` command. In a checkout it runs what `script/setup` built. */
import { existsSync } from 'node:fs'

const main = new URL('../dist/cli/main.js', import.meta.url)
if (!existsSync(main)) {
  console.error('gristmill: this checkout is not built; run script/setup first')
  process.exit(1)
}
await (await import(main.href)).main()
