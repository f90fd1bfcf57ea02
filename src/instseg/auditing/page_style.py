"""Style of the audit's page, light and dark, beside that of all pages."""

STYLE = """
:root { --train: #2f6fde; --val: #e08a00; --test: #1f9d61; --other: #888; --fatal: #c81e3a; --warning: #a86200;
  --mark: #c2185b }
@media (prefers-color-scheme: dark) {
  :root { --train: #6fa3ff; --val: #ffb84d; --test: #57d29a; --other: #999; --fatal: #ff6b81; --warning: #ffb84d;
    --mark: #ff7eb0 } }
h2 { font-size: 19px; margin: 36px 0 12px }
h2 small { font-size: 13px; font-weight: 400; color: var(--soft); margin-left: 10px }
h3 { font-size: 16px; margin: 0 0 4px; font-weight: 600 }
h3::first-letter { text-transform: uppercase }
.badge { display: inline-block; padding: 2px 12px; border-radius: 12px; color: var(--paper); text-decoration: none;
  font-weight: 600 }
.badge.fatal { background: var(--fatal) } .badge.warning { background: var(--warning) }
.badge.info { background: var(--accent) }
.note { color: var(--soft); border-left: 3px solid var(--line); padding-left: 10px }
.where { color: var(--soft); font-size: 13px }
th, td { padding: 4px 18px 4px 0; border-bottom: 1px solid var(--line); text-align: right }
td { white-space: nowrap }
th:first-child { text-align: left; font-weight: 400; color: var(--soft) }
thead th { font-weight: 600 }
.keys { max-width: none; font-size: 13px; color: var(--soft) }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(210px, 1fr)); gap: 12px; align-items: start }
.gallery figure { padding: 8px } .gallery img { display: block; width: 100%; height: auto; border-radius: 4px }
.gallery figcaption { margin-top: 4px; font-size: 12px; color: var(--soft); overflow-wrap: anywhere; overflow: hidden;
  display: -webkit-box; -webkit-line-clamp: 2; -webkit-box-orient: vertical }
.charts { columns: 3 320px; column-gap: 16px }
.charts figure { break-inside: avoid; margin-bottom: 16px }
.charts figcaption { font-weight: 600; font-size: 14px; margin-bottom: 6px }
svg { width: 100%; height: auto; display: block; font: 12px system-ui, sans-serif; fill: var(--soft) }
svg .small { font-size: 10.5px } svg .grid { stroke: var(--line); fill: none }
svg .mark { stroke: var(--mark); stroke-dasharray: 3 3; fill: none }
.train { fill: var(--train); background: var(--train) } .val { fill: var(--val); background: var(--val) }
.test { fill: var(--test); background: var(--test) } .other { fill: var(--other); background: var(--other) }
.item { display: inline-block }
article { background: var(--card); border-left: 4px solid; border-radius: 6px; padding: 14px 18px; margin: 12px 0 }
article.fatal { border-color: var(--fatal) } article.warning { border-color: var(--warning) }
article.info { border-color: var(--accent) }
.kind { font-family: ui-monospace, monospace; margin-right: 10px }
ul.names { margin: 4px 0; padding: 0; list-style: none; overflow-wrap: anywhere }
ul.names span { color: var(--soft); font-size: 13px }
details summary { cursor: pointer; color: var(--accent); font-size: 14px; margin: 6px 0 }
.thumbnails { display: flex; flex-wrap: wrap; gap: 12px; margin-top: 10px }
.thumbnails figure { background: none; padding: 0; max-width: 100% }
.thumbnails img { display: block; border-radius: 4px; max-width: 100%; width: auto; height: auto }
@media (max-width: 600px) {
  main { padding: 16px 12px 40px }
  th, td { padding: 4px 8px 4px 0; font-size: 12px }
  .gallery { grid-template-columns: repeat(2, 1fr); gap: 8px }
  article { padding: 12px }
  button { padding: 6px 10px } }
.thumbnails figcaption { font-size: 12px; color: var(--soft); overflow-wrap: anywhere }
"""
