"""``streetwarden rules``: check, try, apply and list rules, and see what was done to them."""

from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from api.rule_desk import to_be_named
from domain.errors import InvalidInputError, NotFoundError
from rules.story import Story, differences, play
from service.backtest_command import backtest, work_off_backtests
from service.backtest_jobs import COMMAND
from service.explain_command import explain
from service.on_database import on_database
from service.rule_applying import apply_rules, differences_to, remove_rules, rules_in_force
from service.rule_file import read_rule_files, write_rules
from service.settings import load_settings
from service.story_file import read_stories
from service.story_picture import draw
from store.rule_book import Author, rule_history

_rules: Final = typer.Typer(no_args_is_help=True, help="Rules: check, try, apply and list them.")

_MISMATCH: Final = 1
"""Exit code; a file that cannot be understood ends with 65, as all wrong input does."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    _rules.command("backtest")(backtest)
    _rules.command("explain")(explain)
    _rules.command(COMMAND, hidden=True)(work_off_backtests)
    app.add_typer(_rules, name="rules")


@_rules.command("check")
def check_rule_files(given: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Rule files.")]) -> None:
    """Check rule files without a database: exit 65 if one is wrong, with every mistake, its file and line."""
    rules = read_rule_files(given)
    typer.echo("1 rule, and nothing is wrong with it" if len(rules) == 1 else f"{len(rules)} rules, nothing is wrong")


@_rules.command("apply")
def apply_rule_files(
    given: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Rule files.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    reason: Annotated[str, typer.Option(help="Stands in the history.")] = "",
    by: Annotated[str, typer.Option(help="Who applies them; stands in the history.")] = "command line",
) -> None:
    """Put the rules of files in force, and print what differs from those in force; running workers take them at once.

    Rules that stand in none of the files stay as they are. If a file is wrong, nothing is applied.
    """
    settings = load_settings()
    read = read_rule_files(given, on_database(settings, "rules apply", to_be_named))
    rules = [one for one, _ in read]
    if dry_run:
        lines = on_database(settings, "rules apply", lambda pool: differences_to(pool, rules))
    else:
        author, now = Author(by, "command", reason), settings.clock().now()
        lines = on_database(settings, "rules apply", lambda pool: apply_rules(pool, read, author, now))
    typer.echo(
        "".join(f"{line}\n" for line in lines) if lines else "Nothing differs from the rules in force.\n", nl=False
    )


@_rules.command("remove")
def remove(
    keys: Annotated[list[str], typer.Argument(metavar="KEY…", help="As `streetwarden rules list` shows them.")],
    reason: Annotated[str, typer.Option(help="Stands in the history.")] = "",
    by: Annotated[str, typer.Option(help="Who removes them; stands in the history.")] = "command line",
) -> None:
    """Take rules out of the book; a default that one had replaced is in force again."""
    settings = load_settings()
    author, now = Author(by, "command", reason), settings.clock().now()
    on_database(settings, "rules remove", lambda pool: remove_rules(pool, keys, author, now))
    typer.echo(f"Removed {', '.join(keys)}.")


@_rules.command("export")
def export(
    *,
    own: Annotated[bool, typer.Option("--own", help="Only those of the book, not the defaults.")] = False,
) -> None:
    """Print all rules in force as a rule file."""
    shown = on_database(load_settings(), "rules export", rules_in_force)
    typer.echo(write_rules(one.written for one in shown if one.row is not None or not own), nl=False)


@_rules.command("list")
def list_rules() -> None:
    """Print all rules, where each comes from and its revision."""
    table = Table("rule", "for", "kind", "state", "from", "revision")
    for one in on_database(load_settings(), "rules list", rules_in_force):
        row, rule = one.row, one.written.rule
        source = "default" if row is None else row.source if row.file is None else f"{row.source} {row.file}"
        state = "off" if not one.written.enabled else "shadow" if rule.shadow else "in force"
        table.add_row(rule.key, one.written.device_kind, rule.condition.kind, state, source, one.digest)
    Console().print(table)


@_rules.command("history")
def history(
    key: Annotated[str, typer.Argument(help="Of the rule.")],
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Changes at most, the latest first.")] = 50,
) -> None:
    """Print what was done to a rule of the book, and by whom."""
    changes = on_database(
        load_settings(), "rules history", lambda pool: rule_history(pool, key, before=None, limit=limit)
    )
    if not changes:
        raise NotFoundError(f"Nothing was ever done to a rule {key}; `streetwarden rules list` shows those there are.")
    table = Table("when", "who", "from", "revision before", "revision after", "reason")
    for one in changes:
        source = one.source if one.file is None else f"{one.source} {one.file}"
        when = f"{one.at:%Y-%m-%d %H:%M:%S} UTC"
        table.add_row(when, one.author, source, one.from_digest or "-", one.to_digest or "removed", one.reason)
    Console().print(table)


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
