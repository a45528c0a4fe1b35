"""``streetwarden rules``: check rule files, and play stories on the rule engine."""

from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Final

import typer

from domain.errors import InvalidInputError
from rules.story import Story, differences, play
from service.backtest_command import backtest, work_off_backtests
from service.backtest_jobs import COMMAND
from service.rule_file import read_rule_files
from service.story_file import read_stories
from service.story_picture import draw

_rules: Final = typer.Typer(no_args_is_help=True, help="Rules: check them, and try them on stories.")

_MISMATCH: Final = 1
"""Exit code; a file that cannot be understood ends with 65, as all wrong input does."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    _rules.command("backtest")(backtest)
    _rules.command(COMMAND, hidden=True)(work_off_backtests)
    app.add_typer(_rules, name="rules")


@_rules.command("check")
def check_rule_files(given: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Rule files.")]) -> None:
    """Check rule files without a database: exit 65 if one is wrong, with every mistake, its file and line."""
    rules = read_rule_files(given)
    typer.echo("1 rule, and nothing is wrong with it" if len(rules) == 1 else f"{len(rules)} rules, nothing is wrong")


@_rules.command("test")
def play_stories(
    given: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE…", help="Story files; none: those of the default rules.")
    ] = None,
) -> None:
    """Play stories: exit 0 if all goes as they expect, 1 with the differences if not, 65 if a file is wrong."""
    stories = [story for path in given for story in read_stories(path)] if given else shipped_stories()
    if not stories:
        raise InvalidInputError("no story stands in what was given; write one under stories")
    failed = 0
    for story in stories:
        lines = differences(story.expect, play(story))
        if lines:
            failed += 1
            typer.echo(f"{story.place}: {story.name}")
            typer.echo("".join(f"    {line}\n" for line in lines))
    if failed:
        typer.echo(f"{failed} of {len(stories)} stories went otherwise (- expected, + happened)")
        raise typer.Exit(_MISMATCH)
    typer.echo(f"{len(stories)} of {len(stories)} stories went as expected")


@_rules.command("draw")
def draw_stories(
    given: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Story files.")],
    into: Annotated[Path, typer.Option("--into", help="Folder for the pictures.")] = Path(),
) -> None:
    """Draw stories as SVG, one picture each: signal, limits, holds and alerts over time."""
    stories = [(path, number, story) for path in given for number, story in enumerate(read_stories(path), 1)]
    try:
        into.mkdir(parents=True, exist_ok=True)
        for path, number, story in stories:
            picture = into / f"{path.name.split('.')[0]}-{number}.svg"
            picture.write_text(draw(story), encoding="utf-8")
            typer.echo(f"{picture}: {story.name}")
    except OSError as error:
        raise InvalidInputError(f"{into} cannot be written: {error.strerror}") from error


def shipped_stories() -> list[Story]:
    """The stories of the default rules, which come with every installation."""
    with as_file(files("devices") / "stories") as folder:
        return [story for path in sorted(folder.glob("*.yaml")) for story in read_stories(path)]
