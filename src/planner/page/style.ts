/** What the planner's page adds to the common style sheet. */

export const PLAN_STYLE = `
.bars { display: grid; grid-template-columns: max-content 1fr max-content; gap: .45rem .9rem; align-items: center; font-size: .875rem; margin: .5rem 0 1rem; }
.bars .track { position: relative; display: flex; height: 1.35rem; border-radius: 4px; background: var(--track); }
.bars .track > i { display: block; min-width: 1px; }
.bars .track > i:first-child { border-radius: 4px 0 0 4px; }
.bars .track > b { position: absolute; top: -.25rem; bottom: -.25rem; width: 0; border-left: 2px dashed var(--bad); }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; font-size: .8125rem; color: var(--soft); margin: 0 0 .25rem; }
.over { color: var(--bad); font-weight: 600; }
.timeline { display: block; width: 100%; height: auto; }
.timeline text { font: 11px system-ui, sans-serif; fill: var(--soft); }
.timeline .f { fill: var(--s2); } .timeline .b { fill: var(--s1); } .timeline .w { fill: var(--s4); }
.timeline .idle { fill: var(--idle); }
.timeline rect { shape-rendering: crispEdges; }
.heat { display: grid; gap: 3px; font-size: .8125rem; margin: .5rem 0 1rem; overflow-x: auto; }
.heat > span { color: var(--soft); padding: .2rem .35rem; text-align: right; white-space: nowrap; }
.heat > div { position: relative; border-radius: 4px; padding: .35rem .5rem; min-width: 4.2rem; text-align: center; background: var(--track); overflow: hidden; white-space: nowrap; }
.heat > div > i { position: absolute; inset: 0; background: var(--data); }
.heat > div > em { position: relative; font-style: normal; }
.heat > div.best { outline: 2px solid var(--strong); outline-offset: -2px; font-weight: 650; }
.heat > div.none { color: var(--soft); }
.curve { display: block; width: 100%; height: 13rem; overflow: visible; }
.curve .line { fill: none; stroke: var(--data); stroke-width: 2; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
.curve .line2 { fill: none; stroke: var(--s2); stroke-width: 2; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
.curve .base { stroke: var(--quiet); stroke-width: 1; vector-effect: non-scaling-stroke; }
ul.advice { margin: .25rem 0 0; padding-left: 1.1rem; font-size: .9rem; }
ul.advice li { margin: .35rem 0; }
ul.advice small { color: var(--soft); }
dl.inputs { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .2rem 1.2rem; font-size: .8125rem; margin: 0; }
dl.inputs div { display: flex; justify-content: space-between; gap: .6rem; border-bottom: 1px solid var(--line); }
dl.inputs dt { color: var(--soft); } dl.inputs dd { margin: 0; overflow-wrap: anywhere; text-align: right; }
`
