"""The report: one HTML file with everything in it; no script, no network, made for reading and for printing."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final

from domain.errors import InvalidInputError
from simulators.report.charts import delay_histogram, precision_bars, recall_bars
from simulators.report.style import STYLE
from simulators.report.svg import tag
from simulators.report.timeline import timeline
from simulators.report.town_map import town_map
from simulators.report.words import NOTHING, count, share, span, titles
from simulators.scoring.facts import Facts
from simulators.scoring.score import Row, Score
from simulators.truth import Purpose

_PURPOSES: Final[Mapping[Purpose, str]] = {
    Purpose.JUDGING: "judging run 评测场景",
    Purpose.TUNING: "tuning run, judges nothing 调优场景，不作评测",
}
_KEY: Final = (
    ("met", "met in time, right 按时发现、正确"),
    ("late", "late 迟报"),
    ("missed", "missed 漏报"),
    ("invented", "invented 误报"),
    ("forbidden", "forbidden 不应报"),
    ("quiet", "nothing due; repeated or allowed 无需告警、重复或允许"),
)


def write_page(path: Path, score: Score, facts: Facts) -> None:
    """Write the report to a file.

    Raises:
        InvalidInputError: the file cannot be written.
    """
    try:
        path.write_text(render_page(score, facts), encoding="utf-8")
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be written: {error.strerror}") from error


def render_page(score: Score, facts: Facts) -> str:
    """Return the report as one HTML document."""
    named = titles()
    title = f"Score of {score.run.scenario}"
    drawn = town_map(score, facts)
    sections = [
        _section("Detection delay", "发现时延", delay_histogram(score.matching.answers)),
        _section("Recall per fault", "各类故障查全率", recall_bars(score.faults, named)),
        _section("Precision per kind", "各类设备查准率", precision_bars(score.kinds, named)),
        _section("Faults and alerts over time", "故障与告警时间轴", timeline(score, named)),
        _section("Where", "分布", drawn) if drawn else "",
        _section("What went wrong, and why", "问题与原因", _causes(score)),
        _section("Expected alerts", "应报告警", _expectations(score, named)),
        _section("Alerts", "告警", _alerts((*score.kinds, score.whole), named)),
        _section("Tickets per case class", "各类案件工单", _tickets(score)) if score.tickets else "",
    ]
    head = tag("title", escape(title)) + '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    body = tag("main", _header(score, title), _tiles(score), _legend(), *sections)
    return f'<!doctype html>\n<html lang="en"><head>{head}<style>{STYLE}</style></head><body>{body}</body></html>\n'


def _header(score: Score, title: str) -> str:
    run = score.run
    told = [
        f"Seed {run.seed}; {run.start:%Y-%m-%d %H:%M} to {run.end:%Y-%m-%d %H:%M} UTC",
        f" at {run.speed:g} times the real speed; " if run.speed != 1 else ", at real speed; ",
        f"{run.messages:,} messages; {len(score.truth):,} faults.",
    ]
    if score.times.lag is None:
        told.append(" The service's clock did not follow: delays tell when alerts fired, not when they were decided.")
    if run.drill:
        told.append(" Drill 演练.")
    return tag(
        "header",
        tag("h1", escape(title), " ", tag("small", "感知评测报告")),
        tag("p", tag("strong", escape(_PURPOSES[run.purpose])), ". ", escape("".join(told))),
    )


def _tiles(score: Score) -> str:
    told, raised = score.whole.expected, score.whole.raised
    delay, beyond = told.from_begin, told.beyond_wait
    tiles = [
        (
            "Recall 查全率",
            share(told.recall),
            f"{told.met} of {told.total} in time; {told.late} late, {told.missed} missed",
        ),
        ("Precision 查准率", share(raised.precision), f"{raised.invented} invented, {raised.forbidden} forbidden"),
        ("Delay p50 时延中位数", span(delay.p50), f"beyond the rule's own wait {span(beyond.p50)}"),
        ("Delay p99", span(delay.p99), f"beyond the rule's own wait {span(beyond.p99)}"),
        (
            "Tickets 工单",
            f"{score.tickets_missing + score.tickets_unexpected + score.duplicate_tickets}",
            f"{score.tickets_missing} missing, {score.tickets_unexpected} unexpected, {score.duplicate_tickets} double",
        ),
        (
            "Not yet answerable 暂不可判",
            f"{told.unanswerable}",
            f"their rule kinds do not exist yet; {told.answered_ahead} answered all the same",
        ),
    ]
    drawn = (
        tag(
            "div",
            tag("h2", escape(name)),
            tag("p", escape(figure), class_="big"),
            tag("p", escape(about)),
            class_="tile",
        )
        for name, figure, about in tiles
    )
    return tag("section", *drawn, class_="tiles")


def _legend() -> str:
    pieces = (tag("li", tag("i", class_=f"swatch {style}"), escape(words)) for style, words in _KEY)
    return tag("ul", *pieces, class_="legend")


def _section(name: str, chinese: str, *body: str) -> str:
    return tag("section", tag("h2", escape(name), " ", tag("small", escape(chinese))), *body)


def _causes(score: Score) -> str:
    if not score.causes:
        return tag("p", "Nothing was missed, late, invented or forbidden. 无漏报、迟报、误报。")
    head = ("what", "count", "fault or kind", "rule or class", "why", "for example")
    lines = [
        (
            cause.trouble.value,
            count(cause.count),
            cause.about or NOTHING,
            cause.rule,
            cause.why,
            ", ".join(cause.examples),
        )
        for cause in score.causes
    ]
    return _table(head, lines, numbers={1}, style="words")


def _expectations(score: Score, named: Mapping[str, tuple[str, str]]) -> str:
    head = ("fault", "", "played", "due", "met", "late", "missed", "not yet", "recall", "p50", "p99", "beyond wait p99")
    lines: list[Sequence[str]] = []
    for row in (*score.faults, *score.kinds, score.whole):
        told = row.expected
        figures = (row.instances, told.total, told.met, told.late, told.missed, told.unanswerable)
        delays = (told.from_begin.p50, told.from_begin.p99, told.beyond_wait.p99)
        lines.append(
            (
                row.key,
                _title(row, named),
                *(count(figure) for figure in figures),
                share(told.recall),
                *(span(delay) for delay in delays),
            )
        )
    return _table(head, lines, numbers=set(range(2, 12)))


def _alerts(rows: Iterable[Row], named: Mapping[str, tuple[str, str]]) -> str:
    head = ("kind", "", "right", "again", "allowed", "forbidden", "invented", "taken back", "precision")
    lines: list[Sequence[str]] = []
    for row in rows:
        told = row.raised
        figures = (told.right, told.again, told.allowed, told.forbidden, told.invented, told.contradicted)
        lines.append((row.key, _title(row, named), *(count(figure) for figure in figures), share(told.precision)))
    return _table(head, lines, numbers=set(range(2, 9)))


def _tickets(score: Score) -> str:
    head = ("case class 案件小类", "demanded", "came", "missing", "not yet", "unexpected", "double")
    lines = [
        (
            row.case_class,
            *(
                count(figure)
                for figure in (
                    row.demanded,
                    row.came,
                    row.missing,
                    row.not_yet_answerable,
                    row.unexpected,
                    row.duplicates,
                )
            ),
        )
        for row in score.tickets
    ]
    return _table(head, lines, numbers=set(range(1, 7)))


def _title(row: Row, named: Mapping[str, tuple[str, str]]) -> str:
    return " ".join(named.get(row.key, ()))


def _table(head: Sequence[str], lines: Iterable[Sequence[str]], *, numbers: set[int], style: str = "") -> str:
    def cells(name: str, line: Sequence[str]) -> str:
        return "".join(
            tag(name, escape(cell), class_="number" if place in numbers else None) for place, cell in enumerate(line)
        )

    rows = (tag("tr", cells("td", line)) for line in lines)
    table = tag("table", tag("thead", tag("tr", cells("th", head))), tag("tbody", *rows), class_=style or None)
    return tag("div", table, class_="scroll")
