/**
 * `report.html`: a run on one page, drawn from its metrics and nothing else.
 *
 * The page is self-contained and has no script: what it shows works offline, in mail, in print, and its content
 * security policy forbids everything but its own style. Charts are HTML boxes and one SVG line.
 */
import type { Metrics } from './metrics.js'
import { lengths, memory } from './report/charts.js'
import { html, Markup } from './report/html.js'
import { packing, reasons } from './report/rows.js'
import { STYLE } from './report/style.js'
import { bottleneck, throughput, whereTimeWent } from './report/time.js'
import { head, rowsAccount, tiles } from './report/totals.js'

/** The report as an HTML document. */
export function renderReport(metrics: Metrics): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta
          http-equiv="Content-Security-Policy"
          content="default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        />
        <link rel="icon" href="data:," />
        <title>${metrics.name}: gristmill report</title>
        <style>
          ${new Markup(STYLE)}
        </style>
      </head>
      <body>
        <main>
          ${head(metrics)} ${tiles(metrics)} ${bottleneck(metrics)}
          <div class="pair">
            <div>${rowsAccount(metrics)}${packing(metrics)}</div>
            ${whereTimeWent(metrics)}
          </div>
          ${throughput(metrics)}
          <div class="pair">${lengths(metrics)}${memory(metrics)}</div>
          ${reasons(metrics)}
          <footer>
            The numbers are those of <code>metrics.json</code>; <code>manifest.json</code> lists every file with its
            checksums. MB is 10⁶ bytes, MiB 2²⁰.
          </footer>
        </main>
      </body>
    </html> `.text
}
