/**
 * A self-contained page: no script, no request. Its content security policy forbids everything but its own style, so
 * that it works offline, in mail and in print.
 */
import { html, Markup } from './html.js'
import { STYLE } from './style.js'

/** A page as text; `style` is added to the common style sheet. */
export function document(title: string, main: Markup, style = ''): string {
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
        <title>${title}</title>
        <style>
          ${new Markup(STYLE)}${new Markup(style)}
        </style>
      </head>
      <body>
        <main>${main}</main>
      </body>
    </html> `.text
}
