/** The style sheet of our pages: one palette for light, one for dark, and paper. */

export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: #faf9f6; --card: #ffffff; --ink: #1c2024; --soft: #5d646c; --line: #e4e2dc; --track: #eeece6;
  --data: #1f7a6d; --data-soft: #1f7a6d22; --strong: #b35c00; --bad: #b3261e; --quiet: #a5a9ae;
  --s1: #1f7a6d; --s2: #3b6ea8; --s3: #8a5a9e; --s4: #b8862b; --s5: #5f8f3e; --s6: #a8566a; --s7: #4f9fb0; --s8: #7d6b52; --wait: #8a9097; --idle: #e2e0da;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --card: #1b1f23; --ink: #e8e6e1; --soft: #9da4ab; --line: #2c3237; --track: #262b30;
    --data: #54b8a6; --data-soft: #54b8a626; --strong: #f0a04b; --bad: #ff8a80; --quiet: #6b7279;
    --s1: #54b8a6; --s2: #79a8e0; --s3: #bd92d1; --s4: #e0b35a; --s5: #9cc77c; --s6: #dc8fa2; --s7: #7cc7d8; --s8: #b8a183; --wait: #8a9199; --idle: #2f353a;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
  font-variant-numeric: tabular-nums;
}
main { max-width: 68rem; margin: 0 auto; padding: 3rem 1.5rem 4rem; }
header { margin-bottom: 2rem; }
h1 { font-size: 2rem; line-height: 1.2; font-weight: 650; letter-spacing: -0.02em; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; font-weight: 650; letter-spacing: -0.005em; margin: 0 0 .25rem; }
p { margin: 0; }
.soft, .note { color: var(--soft); }
.note { font-size: .875rem; max-width: 46rem; margin-bottom: 1rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1.25rem 1.5rem 1.4rem; margin: 0 0 1rem; }
section.plain { background: none; border: 0; padding: 0; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 1rem; margin-bottom: 1rem; }
.pair > * { margin: 0; min-width: 0; }
.pair > div { display: flex; flex-direction: column; gap: 1rem; }
.pair > div > section { margin: 0; }
.pair > div > section:last-child { flex: 1; }
.pair:empty { display: none; }

.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 1px; background: var(--line); border: 1px solid var(--line); border-radius: 10px; overflow: hidden; margin: 0 0 1rem; }
.tile { background: var(--card); padding: 1rem 1.25rem; }
.tile dt { color: var(--soft); font-size: .8125rem; }
.tile dd { margin: .1rem 0 0; font-size: 1.5rem; line-height: 1.25; font-weight: 600; letter-spacing: -0.015em; white-space: nowrap; }
.tile dd small { display: block; font-size: .8125rem; line-height: 1.4; font-weight: 400; letter-spacing: 0; color: var(--soft); white-space: normal; }

.finding { border-left: 4px solid var(--strong); }
.finding strong { color: var(--strong); font-weight: 650; }
.finding p + p { margin-top: .35rem; }
.alert { border-left: 4px solid var(--bad); }

.stack { display: flex; height: 1.5rem; border-radius: 5px; overflow: hidden; background: var(--track); margin: .9rem 0 1rem; gap: 1px; }
.stack > i { display: block; min-width: 2px; }
.swatch { display: inline-block; width: .7rem; height: .7rem; border-radius: 2px; margin-right: .5rem; vertical-align: -.04rem; }

.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
th, td { text-align: left; font-weight: 400; padding: .34rem .9rem .34rem 0; border-bottom: 1px solid var(--line); vertical-align: baseline; overflow-wrap: break-word; }
thead th { color: var(--soft); font-size: .8125rem; white-space: nowrap; }
tbody tr:last-child > * { border-bottom: 0; }
th:last-child, td:last-child { padding-right: 0; }
.n { text-align: right; white-space: nowrap; }
.name { min-width: 6.5rem; }
.stage { color: var(--soft); font-size: .8125rem; font-weight: 400; }
th.name { overflow-wrap: anywhere; }
td.bar { width: 30%; min-width: 5rem; }
td.bar > i, .key > i { display: block; }
td.bar > i { height: .7rem; border-radius: 2px; background: var(--data); min-width: 1px; }
tr.strong th, tr.strong td { font-weight: 600; }
tr.strong td.bar > i { background: var(--strong); }

h3 { font-size: .875rem; font-weight: 600; margin: .5rem 0 0; overflow-wrap: anywhere; }
.columns { display: flex; align-items: flex-end; height: 11rem; gap: 2px; border-bottom: 1px solid var(--quiet); margin-top: .5rem; }
.columns > i { flex: 1; background: var(--data); border-radius: 2px 2px 0 0; min-height: 0; }
.ticks { display: flex; gap: 2px; color: var(--soft); font-size: .75rem; margin-bottom: .75rem; }
.ticks > span { flex: 1; min-width: 0; display: flex; justify-content: center; white-space: nowrap; }

.chart { display: block; width: 100%; height: 11rem; overflow: visible; }
.chart .area { fill: var(--data-soft); }
.chart .line { fill: none; stroke: var(--data); stroke-width: 1.75; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
.chart .limit { stroke: var(--strong); stroke-width: 1.25; stroke-dasharray: 5 4; vector-effect: non-scaling-stroke; }
.chart .base { stroke: var(--quiet); stroke-width: 1; vector-effect: non-scaling-stroke; }
.axis { display: flex; justify-content: space-between; color: var(--soft); font-size: .75rem; margin: .25rem 0 .75rem; }
.key { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; color: var(--soft); font-size: .8125rem; margin: .25rem 0 .5rem; }
.key > span::before { content: ""; display: inline-block; width: 1rem; border-top: 2px solid var(--data); margin-right: .45rem; vertical-align: .25rem; }
.key > .limit::before { border-top: 2px dashed var(--strong); }

details { margin-top: .25rem; font-size: .875rem; }
summary { cursor: pointer; color: var(--soft); width: fit-content; border-radius: 3px; }
summary:hover { color: var(--ink); }
summary:focus-visible { outline: 2px solid var(--data); outline-offset: 3px; }
details[open] > summary { margin-bottom: .5rem; }
footer { color: var(--soft); font-size: .8125rem; margin-top: 2rem; }
code { font: .9em ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }

@media (max-width: 40rem) {
  main { padding: 1.5rem 1rem 3rem; }
  section { padding: 1rem; }
  h1 { font-size: 1.6rem; }
}
@media print {
  :root { --paper: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #ccc; --track: #eee; --data: #1f7a6d; --data-soft: #1f7a6d22; --strong: #b35c00; --bad: #b3261e; }
  body { font-size: 10pt; }
  main { padding: 0; max-width: none; }
  section, .tiles { break-inside: avoid; border-radius: 0; }
  section.long { break-inside: auto; }
  tr { break-inside: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
`
