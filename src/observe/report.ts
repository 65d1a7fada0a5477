/**
 * `report.html`: a run on one page, drawn from its metrics and nothing else.
 *
 * The page is self-contained and has no script: what it shows works offline, in mail, in print, and its content
 * security policy forbids everything but its own style. Charts are HTML boxes and one SVG line.
 */
import type { Metrics } from './metrics.js'
import { lengths, memory } from './report/charts.js'
import { document } from '../core/page/document.js'
import { html } from '../core/page/html.js'
import { nearDuplicates, packing, reasons } from './report/rows.js'
import { statistics } from './report/stats.js'
import { bottleneck, throughput, whereTimeWent } from './report/time.js'
import { head, rowsAccount, tiles } from './report/totals.js'

/** The report as an HTML document. */
export function renderReport(metrics: Metrics): string {
  const main = html`${head(metrics)} ${tiles(metrics)} ${bottleneck(metrics)}
    <div class="pair">
      <div>${rowsAccount(metrics)}${packing(metrics)}</div>
      ${whereTimeWent(metrics)}
    </div>
    ${throughput(metrics)}
    <div class="pair">${lengths(metrics)}${memory(metrics)}</div>
    ${reasons(metrics)} ${nearDuplicates(metrics)} ${statistics(metrics)}
    <footer>
      The numbers are those of <code>metrics.json</code>; <code>manifest.json</code> lists every file with its
      checksums. MB is 10⁶ bytes, MiB 2²⁰.
    </footer>`
  return document(`${metrics.name}: gristmill report`, main)
}
