"""A backtest's figures for people: tables at the terminal, and one page of HTML that needs nothing beside it."""

from html import escape
from typing import Any, Final

from rich.console import Console
from rich.table import Table

_SIDES: Final = {"candidate": "candidate", "in_force": "in force"}
_COUNTS: Final = {
    "alerts": "alerts",
    "tickets": "tickets opened",
    "joined": "alerts that joined a ticket",
    "short": "short alerts",
    "firing_at_end": "fire at the end",
}
_SHOWN: Final = 20
"""Alerts of each difference at the terminal."""


def print_figures(figures: dict[str, Any]) -> None:
    """The tables."""
    console = Console()
    sides = [name for name in _SIDES if name in figures]
    console.print(
        f"{figures['from']} to {figures['to']}: {figures['readings']:,} readings of {figures['devices']:,} devices "
        f"({', '.join(figures['kinds'])}), {figures['readings_per_second']:,} a second"
    )
    table = Table(title=f"short: less than {figures['short_s']:g} s", title_justify="left")
    table.add_column("")
    for name in sides:
        table.add_column(_SIDES[name], justify="right")
    for key, title in _COUNTS.items():
        table.add_row(title, *(f"{figures[name][key]:,}" for name in sides))
    for rule in dict.fromkeys(one["rule"] for name in sides for one in figures[name]["rules"]):
        table.add_row(rule, *(f"{_alerts_of(figures[name], rule):,}" for name in sides))
    console.print(table)
    _print_noisy(console, figures[sides[0]])
    if "difference" in figures:
        _print_difference(console, figures["difference"])


def _alerts_of(side: dict[str, Any], rule: str) -> int:
    return next((int(one["alerts"]) for one in side["rules"] if one["rule"] == rule), 0)


def _print_noisy(console: Console, side: dict[str, Any]) -> None:
    if not side["noisiest_devices"]:
        return
    table = Table("noisiest devices", "alerts", "noisiest grids", "alerts")
    grids = side["noisiest_grids"]
    for place, one in enumerate(side["noisiest_devices"]):
        grid = grids[place] if place < len(grids) else None
        beside = ("", "") if grid is None else (grid["unit_grid"], str(grid["alerts"]))
        table.add_row(one["device"], str(one["alerts"]), *beside)
    console.print(table)


def _print_difference(console: Console, difference: dict[str, Any]) -> None:
    console.print(
        f"In both {difference['both']:,}, only by the candidate {difference['only_candidate']:,}, "
        f"only by the rules in force {difference['only_in_force']:,}"
    )
    for name, mark in (("only_candidate", "+"), ("only_in_force", "-")):
        alerts = difference[f"alerts_{name}"]
        for one in alerts[:_SHOWN]:
            console.print(
                f"{mark} {one['fired_at']} {one['device']} {one['rule']} peak {one['peak']}, "
                f"{one['lasts_s']:g} s, {one['value']}",
                highlight=False,
            )
        if difference[name] > _SHOWN:
            console.print(f"{mark} … and {difference[name] - _SHOWN:,} more")


_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Backtest</title><style>
body {{ font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; }}
table {{ border-collapse: collapse; margin: 1rem 0; }} td, th {{ padding: .2rem .8rem; border-bottom: 1px solid #ccc; }}
td.n, th.n {{ text-align: right; font-variant-numeric: tabular-nums; }}
</style></head><body>
<h1>Backtest</h1>
<p>{period}</p>
{body}
</body></html>
"""


def page_of(figures: dict[str, Any]) -> str:
    """The page; every name in it is escaped."""
    sides = [name for name in _SIDES if name in figures]
    period = (
        f"{figures['from']} to {figures['to']}: {figures['readings']:,} readings of {figures['devices']:,} devices "
        f"({', '.join(figures['kinds'])}). Short: less than {figures['short_s']:g} s."
    )
    rows = [[title, *(figures[name][key] for name in sides)] for key, title in _COUNTS.items()]
    rules = dict.fromkeys(one["rule"] for name in sides for one in figures[name]["rules"])
    rows += [[rule, *(_alerts_of(figures[name], rule) for name in sides)] for rule in rules]
    body = _table(["", *(_SIDES[name] for name in sides)], rows)
    for name in sides:
        side = figures[name]
        body += f"<h2>{_SIDES[name]}: alerts a day</h2>" + _bars(side["per_day"])
        body += f"<h2>{_SIDES[name]}: noisiest</h2>"
        body += _table(["device", "alerts"], [[one["device"], one["alerts"]] for one in side["noisiest_devices"]])
        body += _table(["unit grid", "alerts"], [[one["unit_grid"], one["alerts"]] for one in side["noisiest_grids"]])
    difference = figures.get("difference")
    if difference is not None:
        body += f"<h2>Difference</h2><p>In both: {difference['both']:,}.</p>"
        for name, title in (("only_candidate", "Only by the candidate"), ("only_in_force", "Only by those in force")):
            columns = ["fired_at", "device", "rule", "peak", "lasts_s", "value"]
            alerts = difference[f"alerts_{name}"]
            body += f"<h3>{title}: {difference[name]:,}</h3>"
            body += _table(columns, [[one[column] for column in columns] for one in alerts])
    return _PAGE.format(period=escape(period), body=body)


def _table(head: list[str], rows: list[list[Any]]) -> str:
    if not rows:
        return "<p>None.</p>"
    heads = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join(
        "<tr>" + "".join(f"<td{_number(cell)}>{escape(_cell(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{heads}</tr>{lines}</table>"


def _number(cell: object) -> str:
    return ' class="n"' if isinstance(cell, int | float) else ""


def _cell(cell: object) -> str:
    return f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else str(cell)


def _bars(days: list[dict[str, Any]]) -> str:
    """A bar a day."""
    if not days:
        return "<p>None.</p>"
    most = max(int(one["alerts"]) for one in days)
    width, height = 14, 120
    bars = "".join(
        f'<rect x="{place * width}" y="{height - one["alerts"] * height / most:.1f}" width="{width - 2}" '
        f'height="{one["alerts"] * height / most:.1f}" fill="#3b6ea5">'
        f"<title>{one['day']}: {one['alerts']}</title></rect>"
        for place, one in enumerate(days)
    )
    size = f'viewBox="0 0 {len(days) * width} {height}" width="{len(days) * width}" height="{height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="Alerts a day">{bars}</svg>'
