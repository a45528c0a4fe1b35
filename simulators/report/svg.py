"""Drawing: the few elements of SVG and HTML that a report is made of, every text of them escaped."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

_DECIMALS: Final = 1


def tag(name: str, *body: str, **attributes: object) -> str:
    """One element; ``body`` is markup already. Attributes are named as in Python: ``class_``, ``text_anchor``."""
    named = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{named}>{''.join(body)}</{name}>"


def text(words: str, x: float, y: float, class_: str = "", anchor: str = "start") -> str:
    """Words at a place."""
    return tag("text", escape(words), x=x, y=y, class_=class_ or None, text_anchor=anchor)


def bar(x: float, y: float, width: float, height: float, class_: str, title: str = "") -> str:
    """A rectangle; ``title`` shows when a pointer rests on it."""
    inner = tag("title", escape(title)) if title else ""
    return tag("rect", inner, x=x, y=y, width=max(0.0, width), height=height, class_=class_)


def rule(x1: float, y1: float, x2: float, y2: float, class_: str) -> str:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def dots(places: Iterable[tuple[float, float]], class_: str) -> str:
    """Any number of round dots as one element: a line of no length with round ends, a dozen bytes each."""
    drawn = "".join(f"M{_plain(x)} {_plain(y)}h0" for x, y in places)
    return tag("path", d=drawn, class_=class_) if drawn else ""


def picture(width: float, height: float, title: str, describes: str, parts: Sequence[str]) -> str:
    """A whole drawing, which scales with the page."""
    return tag(
        "svg",
        tag("title", escape(title)),
        tag("desc", escape(describes)),
        *parts,
        viewBox=f"0 0 {_plain(width)} {_plain(height)}",
        role="img",
        aria_label=title,
    )


def _plain(value: object) -> str:
    """Numbers short: a tenth of a pixel is finer than anyone sees."""
    if isinstance(value, float):
        return f"{round(value, _DECIMALS):g}" if abs(value) < 1e5 else f"{value:.0f}"  # noqa: PLR2004  # %g turns to exponents
    return str(value)
