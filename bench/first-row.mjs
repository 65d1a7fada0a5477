// Seconds from asking for a tokenizer to the ids of the first row: `node bench/first-row.mjs TOKENIZER`.
import { Tokenizer } from '../dist/kernels/tokenizer.js'

const start = performance.now()
const tokenizer = Tokenizer.load(process.argv[2], {})
const ids = tokenizer.encode('the first row', { addSpecialTokens: false, specialTokensInText: false })
console.log(JSON.stringify({ seconds: (performance.now() - start) / 1000, tokens: ids.length }))
