"""Rules of the book: in force without a restart, the state of rules kept, files followed, the later wins."""

import asyncio
import signal
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from devices.catalogue import load_group_rules, load_kinds
from domain.errors import NotFoundError, RefusedError
from service.cli import build_app
from service.clock import SystemClock
from service.rule_folder import RuleFolder
from store.pool import open_pool
from tests.chaos.neighbours import Ingest, ingest_environment
from tests.support.api import client
from tests.support.brokers import Broker
from tests.support.publishing import body, publish, topic, until
from tests.support.registered import register
from tests.support.ruled import RuledStreet, steep

MANHOLE = load_kinds()["manhole"]


@pytest.fixture
async def street(pool: Any) -> RuledStreet:
    return await RuledStreet(pool).open()


def at_once(key: str, limit: float) -> dict[str, object]:
    condition = {"measure": "tilt_deg", "levels": [{"severity": "major", "limit": limit}]}
    return steep(key=key, condition=condition, case_class=None)


def write(folder: Path, *rules: dict[str, object], name: str = "own.yaml") -> Path:
    path = folder / name
    new = path.with_suffix(".new")
    new.write_text(yaml.safe_dump({"rules": list(rules)}, allow_unicode=True), encoding="utf-8")
    new.replace(path)
    return path


async def book(pool: Any) -> dict[str, str]:
    return {row[0]: row[1] for row in await pool.fetch("SELECT key, source FROM rule ORDER BY key")}


async def history(pool: Any, key: str = "manhole.steep") -> list[tuple[str, bool]]:
    rows = await pool.fetch("SELECT source, to_digest FROM rule_change WHERE key = $1 ORDER BY id", key)
    return [(row[0], row[1] is not None) for row in rows]


async def read_until_at_rest(folder: RuleFolder) -> None:
    while not await folder.look():
        pass


async def test_files_and_api_change_the_rules_of_a_running_service(
    pool: Any, database_url: str, embedded_broker: Broker, tmp_path: Path
) -> None:
    """The whole process, without a restart: a file, a mistake in it, the API, and a rule that is gone."""
    for name in ("DC-1", "DC-2"):
        await register(pool, name)
    place = tmp_path / "rules"
    place.mkdir()
    write(place, at_once("manhole.first", limit=20))
    environment = ingest_environment(tmp_path, database_url, embedded_broker.url, rules_dir=str(place))
    ingest = Ingest(environment, tmp_path / "ingest.log")
    ingest.start()
    onset = datetime.now(UTC) - timedelta(seconds=15)

    async def alert_of(rule: str, tilt: float) -> None:
        async def fires() -> Any:
            # The cover goes on telling how it lies: the first reading after the change is judged by the new rules.
            await publish(embedded_broker, (topic("DC-1"), body(datetime.now(UTC), tilt_deg=tilt)))
            return await pool.fetchval("SELECT 1 FROM alert WHERE rule = $1 AND state = 'firing'", rule)

        await until(fires, within_s=30)

    try:
        # What lay there is in force from the first message on.
        await until(lambda: asyncio.to_thread(ingest.told, "broker_connected"), within_s=60)
        await publish(embedded_broker, (topic("DC-2"), body(onset, tilt_deg=16.0)))
        await alert_of("manhole.first", 21.0)
        assert await pool.fetchval("SELECT count(*) FROM alert WHERE rule <> 'manhole.first'") == 0
        path = write(place, at_once("manhole.first", limit=20), at_once("manhole.second", limit=12))
        await alert_of("manhole.second", 21.0)
        # A file with a mistake is refused as a whole, and all it said before stays.
        path.write_text("rules:\n- {key: manhole.first, kind: treshold}\n", encoding="utf-8")
        complaints = await until(lambda: pool.fetchval("SELECT complaints FROM rule_file_refused"))
        assert complaints[0].startswith(f"{path}, line 2: manhole.first: kind must be one of ")
        assert await until(lambda: asyncio.to_thread(ingest.told, "rule_file_refused"))
        async with client(pool) as http:
            answer = await http.put("/v1/rules/manhole.third", json={"rule": at_once("manhole.third", limit=11)})
            assert answer.status_code == 200
            await alert_of("manhole.third", 21.0)
            await http.delete("/v1/rules/manhole.third")
        # Nobody needs to publish: the ticker sees that the rule is gone.
        gone = "SELECT 1 FROM alert WHERE rule = 'manhole.third' AND state = 'cleared'"
        await until(lambda: pool.fetchval(gone), within_s=30)
        firing = [row[0] for row in await pool.fetch("SELECT rule FROM alert WHERE state = 'firing' ORDER BY rule")]
        assert [rule for rule in firing if rule != "manhole.tilt"] == ["manhole.first", "manhole.second"]
        # Over all these changes the hold of an unchanged rule went on, on a cover that said nothing more.
        of_other = "SELECT onset, fired_at FROM alert a JOIN device d ON d.id = a.device_id WHERE d.name = 'DC-2'"
        held = await until(lambda: pool.fetchrow(of_other))
        assert tuple(held) == (onset, onset + timedelta(seconds=30))
    finally:
        ingest.stop(signal.SIGKILL)


async def test_a_pending_hold_goes_on_while_another_rule_comes_and_goes(street: RuledStreet) -> None:
    await street.deliver(0, tilt_deg=20.0)
    await street.change(steep(limit=80))
    await street.tick(10)
    await street.change(remove=("manhole.steep",))
    await street.tick(29)
    assert await street.alerts() == []
    await street.tick(31)
    assert await street.alerts() == [("manhole.tilt", 0, 30, "firing")]


async def test_a_rule_edited_and_edited_back_leaves_no_trace(street: RuledStreet) -> None:
    await street.change(steep())
    await street.deliver(0, tilt_deg=40.0)
    before = await street.tracks()
    await street.change(steep(limit=85, shadow=True))
    await street.change(remove=("manhole.steep",))
    await street.change(steep())
    assert await street.tracks() == before
    await street.tick(31)
    assert await street.alerts("manhole.steep") == [("manhole.steep", 0, 30, "firing")]


async def test_a_shorter_hold_fires_without_a_further_reading(street: RuledStreet) -> None:
    await street.change(steep())
    await street.deliver(0, tilt_deg=40.0)
    await street.tick(10)
    await street.change(
        steep(condition={"measure": "tilt_deg", "levels": [{"severity": "major", "limit": 30, "hold_s": 5}]})
    )
    await street.tick(10)
    assert await street.alerts("manhole.steep") == [("manhole.steep", 0, 5, "firing")]


async def test_a_rule_that_goes_on_firing_over_a_change_keeps_its_alert(street: RuledStreet) -> None:
    await street.change(steep())
    await street.deliver(0, tilt_deg=40.0)
    await street.tick(31)
    await street.change(steep(limit=35))
    await street.deliver(60, tilt_deg=38.0)
    assert await street.alerts("manhole.steep") == [("manhole.steep", 0, 30, "firing")]
    await street.deliver(70, tilt_deg=33.0)
    assert await street.alerts("manhole.steep") == [("manhole.steep", 0, 30, "cleared")]


async def test_what_a_rule_raised_clears_when_it_is_removed_or_switched_off(street: RuledStreet) -> None:
    await street.change(steep())
    await street.deliver(0, tilt_deg=40.0)
    await street.tick(31)
    await street.change({"key": "manhole.tilt", "enabled": False}, remove=("manhole.steep",))
    await street.tick(32)
    assert await street.alerts() == [("manhole.steep", 0, 30, "cleared"), ("manhole.tilt", 0, 30, "cleared")]
    assert await street.pool.fetchval("SELECT state FROM ticket") == "resolved"


async def test_a_default_replaced_is_judged_by_the_books_numbers_and_named_by_its_revision(street: RuledStreet) -> None:
    condition = {"measure": "tilt_deg", "levels": [{"severity": "minor", "limit": 5}]}
    await street.change({"key": "manhole.tilt", "condition": condition})
    await street.deliver(0, tilt_deg=6.0)
    row = await street.pool.fetchrow(
        "SELECT a.severity, r.body->'condition'->'levels'->0->>'limit' FROM alert a "
        "JOIN rule_revision r ON r.id = a.revision_id"
    )
    assert tuple(row) == (3, "5.0")
    await street.change(remove=("manhole.tilt",))
    await street.deliver(10, tilt_deg=6.0)
    assert await street.alerts() == [("manhole.tilt", 0, 0, "cleared")]


async def test_a_shorter_silence_is_noticed_on_devices_with_nothing_up(street: RuledStreet) -> None:
    await street.deliver(0, tilt_deg=1.0)
    await street.tick(1)
    await street.change({"key": "manhole.offline", "condition": {"intervals": 0.1, "severity": "major"}})
    await street.tick(61)
    assert await street.alerts() == [("manhole.offline", 60, 60, "firing")]


async def test_a_device_departs_from_a_rule_of_the_book_as_from_a_default(street: RuledStreet) -> None:
    await street.change(steep())
    await street.pool.execute("""UPDATE device SET overrides = '{"manhole.steep": {"major": {"hold_s": 5}}}'""")
    street.known.forget()
    await street.deliver(0, tilt_deg=40.0)
    await street.tick(6)
    assert await street.alerts("manhole.steep") == [("manhole.steep", 0, 5, "firing")]


async def test_a_wrong_file_is_refused_as_a_whole_and_what_it_said_before_stays(pool: Any, tmp_path: Path) -> None:
    folder = RuleFolder(tmp_path, pool, SystemClock())
    path = write(tmp_path, steep())
    await folder.apply()
    good = await pool.fetchval("SELECT digest FROM rule")
    path.write_text(
        path.read_text(encoding="utf-8").replace("limit: 30", "limit: thirty")
        + "- {key: manhole.tilt, enabled: false}\n",
        encoding="utf-8",
    )
    await read_until_at_rest(folder)
    assert await book(pool) == {"manhole.steep": "file"}
    assert await pool.fetchval("SELECT digest FROM rule") == good
    line = next(n for n, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if "thirty" in text)
    refused = await pool.fetchrow("SELECT file, complaints FROM rule_file_refused")
    complaint = f"{path}, line {line}: manhole.steep: limit must be a number, not 'thirty'"
    assert tuple(refused) == ("own.yaml", [complaint])
    write(tmp_path, steep(limit=33), {"key": "manhole.tilt", "enabled": False})
    await read_until_at_rest(folder)
    assert await book(pool) == {"manhole.steep": "file", "manhole.tilt": "file"}
    assert await pool.fetchval("SELECT count(*) FROM rule_file_refused") == 0


async def test_one_key_in_two_files_is_taken_from_the_first_and_the_second_is_refused(
    pool: Any, tmp_path: Path
) -> None:
    write(tmp_path, steep(), name="a.yaml")
    write(tmp_path, steep(limit=50), {"key": "manhole.h2s", "enabled": False}, name="b.yaml")
    await RuleFolder(tmp_path, pool, SystemClock()).apply()
    assert await book(pool) == {"manhole.steep": "file"}
    refused = await pool.fetchrow("SELECT file, complaints FROM rule_file_refused")
    assert tuple(refused) == ("b.yaml", ["b.yaml: manhole.steep stands in a.yaml, too"])


async def test_a_half_written_file_is_not_read_and_a_folder_that_went_away_removes_nothing(
    pool: Any, tmp_path: Path
) -> None:
    place = tmp_path / "rules"
    place.mkdir()
    folder = RuleFolder(place, pool, SystemClock())
    write(place, steep())
    assert not await folder.look()
    write(place, steep(limit=31))
    assert not await folder.look()
    assert await folder.look()
    assert await book(pool) == {"manhole.steep": "file"}
    place.rename(tmp_path / "elsewhere")
    assert [await folder.look() for _ in range(3)] == [False] * 3
    assert await book(pool) == {"manhole.steep": "file"}
    with pytest.raises(RefusedError, match="is no folder"):
        await RuleFolder(place, pool, SystemClock()).apply()


async def test_a_rule_removed_from_its_file_is_removed_and_a_file_removed_takes_its_rules_along(
    pool: Any, tmp_path: Path
) -> None:
    folder = RuleFolder(tmp_path, pool, SystemClock())
    path = write(tmp_path, steep(), {"key": "manhole.tilt", "enabled": False})
    await folder.apply()
    write(tmp_path, {"key": "manhole.tilt", "enabled": False})
    await read_until_at_rest(folder)
    assert await book(pool) == {"manhole.tilt": "file"}
    path.unlink()
    await read_until_at_rest(folder)
    assert await book(pool) == {}
    assert await history(pool) == [("file", True), ("file", False)]


async def test_a_rule_that_moves_to_another_file_changes_in_nothing_else(pool: Any, tmp_path: Path) -> None:
    folder = RuleFolder(tmp_path, pool, SystemClock())
    path = write(tmp_path, steep())
    await folder.apply()
    path.rename(tmp_path / "renamed.yaml")
    await read_until_at_rest(folder)
    assert await pool.fetchval("SELECT file FROM rule") == "renamed.yaml"
    assert await history(pool) == [("file", True)]


async def test_the_later_of_file_and_api_wins_and_the_history_says_so(street: RuledStreet, tmp_path: Path) -> None:
    pool = street.pool
    write(tmp_path, steep())
    await RuleFolder(tmp_path, pool, SystemClock()).apply()
    await street.change(steep(limit=50))
    # A worker that starts again reads the same file: it says nothing new.
    await RuleFolder(tmp_path, pool, SystemClock()).apply()
    assert await book(pool) == {"manhole.steep": "api"}
    write(tmp_path, steep(limit=31))
    folder = RuleFolder(tmp_path, pool, SystemClock())
    await folder.apply()
    assert await book(pool) == {"manhole.steep": "file"}
    await street.change(remove=("manhole.steep",))
    await RuleFolder(tmp_path, pool, SystemClock()).apply()
    assert await book(pool) == {}
    await street.change(steep(limit=50))
    write(tmp_path)
    (tmp_path / "own.yaml").write_text("rules:\n- {key: manhole.tilt, enabled: false}\n", encoding="utf-8")
    await read_until_at_rest(folder)
    assert await book(pool) == {"manhole.steep": "api", "manhole.tilt": "file"}
    sources = [source for source, _ in await history(pool)]
    assert sources == ["file", "api", "file", "api", "api"]


async def test_two_workers_that_follow_one_folder_apply_a_change_once(
    pool: Any, database_url: str, tmp_path: Path
) -> None:
    other = await open_pool(database_url, application_name="other worker")
    try:
        folders = [RuleFolder(tmp_path, each, SystemClock()) for each in (pool, other) for _ in range(3)]
        for limit in range(30, 40):
            write(tmp_path, steep(limit=limit), {"key": "manhole.tilt", "enabled": limit % 2 == 0})
            await asyncio.gather(*(folder.apply() for folder in folders))
    finally:
        await other.close()
    assert await history(pool) == [("file", True)] * 10
    assert await pool.fetchval("SELECT count(*) FROM rule_change") == 20


def run(database_url: str, *arguments: str | Path) -> str:
    told = CliRunner().invoke(
        build_app(),
        ["rules", *map(str, arguments)],
        env={"STREETWARDEN_DATABASE_URL": database_url, "COLUMNS": "200"},
        catch_exceptions=False,
    )
    assert told.exit_code == 0, told.output
    return told.output


async def commands(database_url: str, *lines: Sequence[str | Path]) -> list[str]:
    """Each runs an event loop of its own."""
    return [await asyncio.to_thread(run, database_url, *line) for line in lines]


async def test_the_commands_show_what_differs_apply_it_and_export_what_is_in_force(
    pool: Any, database_url: str, tmp_path: Path
) -> None:
    path = write(tmp_path, steep(), {"key": "manhole.tilt", "ticket_from": "critical"})
    dry, applied, again = await commands(
        database_url,
        ("apply", path, "--dry-run"),
        ("apply", path, "--reason", "trial", "--by", "Li Na"),
        ("apply", path),
    )
    assert dry == applied
    assert "manhole.steep: new" in dry
    assert "manhole.tilt: changed" in dry
    assert "    -  ticket_from: notice\n    +  ticket_from: critical\n" in dry
    assert again == "Nothing differs from the rules in force.\n"
    shown, told, exported, own = await commands(
        database_url, ("list",), ("history", "manhole.steep"), ("export",), ("export", "--own")
    )
    assert "command own.yaml" in shown
    assert "Li Na" in told
    assert "trial" in told
    copied = tmp_path / "all.yaml"
    copied.write_text(exported, encoding="utf-8")
    keys = {one["key"] for one in yaml.safe_load(exported)["rules"]}
    of_one = {rule.key for kind in load_kinds().values() for rule in kind.rules}
    assert keys == of_one | load_group_rules().keys() | {"manhole.steep"}
    assert [one["key"] for one in yaml.safe_load(own)["rules"]] == ["manhole.steep", "manhole.tilt"]
    same, removed = await commands(database_url, ("apply", copied, "--dry-run"), ("remove", "manhole.steep"))
    assert same == "Nothing differs from the rules in force.\n"
    assert removed == "Removed manhole.steep.\n"
    assert await book(pool) == {"manhole.tilt": "command"}
    with pytest.raises(NotFoundError, match="does not stand in the rule book"):
        await commands(database_url, ("remove", "manhole.steep"))
