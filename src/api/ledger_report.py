"""The check of the ledger in words: what was compared, what deviates, one sentence each; for API and command."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from store.connection import Pool
from store.device_ledger_views import ACCOUNTS
from store.ledger_check import MOST_TOLD, Finding, Scope, look, snapshot


class Checked(NamedTuple):
    """One identity, looked at wherever it must hold."""

    check: str
    title: str
    compared: int
    deviating: int
    sentences: list[str]


def _differences(row: Sequence[Any]) -> str:
    accounts = dict(zip(ACCOUNTS, row, strict=True))
    negative = [f"{name} {number}" for name, number in accounts.items() if number < 0]
    parts = accounts["stored"] + accounts["duplicate"] + accounts["conflicting"] + accounts["rejected"]
    said = [f"contained {accounts['contained']}, but stored + duplicate + conflicting + rejected are {parts}"]
    if accounts["contained"] == parts:
        said = []
    if negative:
        said.append(f"below zero: {', '.join(negative)}")
    return "; ".join(said)


def _day(row: Sequence[Any]) -> str:
    pairs = zip(ACCOUNTS, row[1::2], row[2::2], strict=True)
    said = [f"{name} {minutes} by minutes and {devices} by devices" for name, minutes, devices in pairs]
    differing = [text for text, one, other in zip(said, row[1::2], row[2::2], strict=True) if one != other]
    return f"{row[0]}: {'; '.join(differing)}."


def _state(row: Sequence[Any]) -> str:
    name, readings, noted, booked = row
    if readings < noted:
        return f"{name}: its state counts {readings} readings, and {noted} of them as entered."
    return f"{name}: its state says that {noted} of its {readings} readings are entered, the ledger has {booked}."


_SENTENCES: Final[dict[str, tuple[str, Callable[[Sequence[Any]], str]]]] = {
    "minutes": (
        "each minute and source: contained = stored + duplicate + conflicting + rejected, nothing below zero",
        lambda row: f"{row[0]:%Y-%m-%d %H:%M} UTC, {row[1]}: {_differences(row[2:])}.",
    ),
    "held": (
        "each minute and source: what lies in quarantine was counted as quarantined",
        lambda row: f"{row[0]:%Y-%m-%d %H:%M} UTC, {row[1]}: {row[3]} lie in quarantine, {row[2]} are counted.",
    ),
    "devices": (
        "each device and day: contained = stored + duplicate + conflicting + rejected, nothing below zero",
        lambda row: f"{row[0]}, {row[1]}: {_differences(row[2:])}.",
    ),
    "days": ("each day: minutes and devices have the same sums", _day),
    "states": ("each device: what its state says is entered in the ledger is", _state),
    "readings": (
        "each device and day: as many rows of readings as the ledger calls stored",
        lambda row: f"{row[0]}, {row[1]}: the ledger calls {row[2]} readings stored, {row[3]} rows are there.",
    ),
}


async def check_ledger(pool: Pool, scope: Scope, *, deep: bool) -> list[Checked]:
    """Do every check in one snapshot; ``deep`` counts the rows of readings too."""
    async with snapshot(pool) as connection:
        return [
            _checked(name, await look(connection, name, scope)) for name in _SENTENCES if deep or name != "readings"
        ]


def _checked(name: str, found: Finding) -> Checked:
    title, sentence = _SENTENCES[name]
    sentences = [sentence(row) for row in found.told]
    if found.deviating > MOST_TOLD:
        sentences.append(f"And {found.deviating - MOST_TOLD} more.")
    return Checked(name, title, found.compared, found.deviating, sentences)
