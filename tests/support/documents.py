"""Reading the house's documents: their fenced blocks, by language and name."""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FENCE: Final = re.compile(r"^```(\w*) ?(\S*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def fences(page: str) -> list[tuple[str, str, str]]:
    """(language, what the block is called, body) of every fenced block."""
    return [(match[1], match[2], match[3]) for match in FENCE.finditer(text_of(ROOT / page))]


def example(page: str, name: str) -> str:
    """The body of the one block of that name."""
    [body] = [body for _, called, body in fences(page) if called == name]
    return body
