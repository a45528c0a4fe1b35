"""The report's style sheet: light and dark, on a screen and on paper."""

from typing import Final

STYLE: Final = """
:root { --paper: #ffffff; --ink: #1b2530; --faint: #56636f; --line: #d5dce3; --tile: #f3f6fa;
  --met: #2f7d4f; --late: #c98a12; --missed: #c0392b; --invented: #7b4fb5; --forbidden: #c4621f; --quiet: #a3b0bc; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #11161c; --ink: #e8eef4; --faint: #a9b6c2; --line: #33404c; --tile: #1a222b;
    --met: #56b981; --late: #e6b04a; --missed: #ef6a5b; --invented: #b18ae6; --forbidden: #e8935a; --quiet: #65727e; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.5; font-size: 15px;
  font-family: system-ui, "Noto Sans", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 28px 24px 60px; }
h1 { margin: 0; font-size: 28px; }
h2 { margin: 36px 0 10px; font-size: 19px; }
small { color: var(--faint); font-weight: 400; font-size: 0.8em; }
header p { margin: 6px 0 20px; color: var(--faint); }
header strong { color: var(--ink); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 12px; }
.tile { background: var(--tile); border: 1px solid var(--line); border-radius: 8px; padding: 12px 16px; }
.tile h2 { margin: 0; font-size: 14px; font-weight: 600; color: var(--faint); }
.tile p { margin: 0; color: var(--faint); font-size: 13px; }
.tile .big { color: var(--ink); font-size: 28px; font-weight: 600; line-height: 1.3; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 6px 20px; padding: 0; margin: 18px 0 0;
  font-size: 13px; }
.swatch { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 6px;
  vertical-align: -1px; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--ink); font-size: 13px; }
svg .small { font-size: 11.5px; fill: var(--faint); }
svg .figure { fill: var(--faint); }
.met { fill: var(--met); background: var(--met); }
.late { fill: var(--late); background: var(--late); }
.missed { fill: var(--missed); background: var(--missed); }
.invented { fill: var(--invented); background: var(--invented); }
.forbidden { fill: var(--forbidden); background: var(--forbidden); }
.quiet { fill: var(--quiet); background: var(--quiet); }
.clear { opacity: 0.75; }
.axis { stroke: var(--faint); }
.grid { stroke: var(--line); }
.dot { fill: none; background: none; stroke-linecap: round; stroke-width: 9; }
.dot.calm { stroke: var(--quiet); stroke-width: 4; }
.dot.met { stroke: var(--met); stroke-width: 7; }
.dot.late { stroke: var(--late); }
.dot.missed { stroke: var(--missed); }
.dot.invented { stroke: var(--invented); }
.dot.forbidden { stroke: var(--forbidden); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13.5px; width: 100%; }
th, td { text-align: left; padding: 5px 10px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--faint); font-weight: 600; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
table.words td:nth-child(5) { min-width: 260px; }
@media print { main { max-width: none; padding: 0; } section { break-inside: avoid; } }
"""
