"""`streetwarden import`: what is read from a CSV, what is refused, and that importing again updates."""

from pathlib import Path

import asyncpg
import orjson
import pytest
from typer.testing import CliRunner

from api.app import vocabulary
from service.cli import build_app
from service.registry_import import check_sheet, save_sheet
from service.registry_table import Sheet, read_sheet
from store.registry import NATIVE
from tests.support.api import NOW

HEAD = (
    "device,kind,district,asset,component_code,unit_grid,longitude,latitude,address,owner,keeper,interval_s,aliases,"
    "simulated,baseline_deg,fields"
)
ALIASES = "chirpstack_v4=24E124468C321234;senml=urn:dev:mac:1"
GOOD = f"""{HEAD}
mh-1,manhole,511703,JG-1,5117030102000001,511703001002015,107.5,31.2,华阳路,排水公司,养护所,3600,{ALIASES},true,3.5,"{{""angle"":""tilt_deg""}}"
,bin,511703,LJ-1,,,,,,,,,,,,
lamp-1,streetlight,511703,,,,,,,,,,,,,
"""


def sheet_of(text: str, encoding: str = "utf-8") -> Sheet:
    return read_sheet(text.encode(encoding), vocabulary())


async def bring_in(pool: asyncpg.Pool, text: str) -> tuple[int, ...]:
    sheet = sheet_of(text)
    assert sheet.bad == []
    assert await check_sheet(pool, sheet, lambda _: None) == []
    return tuple(await save_sheet(pool, sheet, NOW, lambda _: None))


@pytest.mark.parametrize(
    ("encoding", "told"),
    [("utf-8", "UTF-8"), ("utf-8-sig", "UTF-8 with byte order mark"), ("gbk", "GBK")],
)
def test_files_are_read_as_excel_writes_them(encoding: str, told: str) -> None:
    sheet = sheet_of(GOOD, encoding)
    assert (sheet.encoding, sheet.bad) == (told, [])
    assert sheet.assets["JG-1"].address == "华阳路"


async def test_a_row_may_be_a_sensor_on_an_asset_an_asset_alone_or_a_sensor_alone(pool: asyncpg.Pool) -> None:
    assert await bring_in(pool, GOOD) == (2, 0, 2, 0)
    rows = await pool.fetch(
        "SELECT d.name, a.name FROM device d "
        "LEFT JOIN fitting f ON f.device_id = d.id LEFT JOIN asset a ON a.id = f.asset_id"
    )
    assert {tuple(row) for row in rows} == {("mh-1", "JG-1"), ("lamp-1", None)}
    aliases = {tuple(row) for row in await pool.fetch("SELECT source, alias FROM device_alias")}
    assert aliases == {
        (NATIVE, "mh-1"),
        (NATIVE, "lamp-1"),
        ("chirpstack_v4", "24e124468c321234"),
        ("senml", "urn:dev:mac:1"),
    }
    device = await pool.fetchrow("SELECT interval_s, simulated, overrides, fields FROM device WHERE name = 'mh-1'")
    assert device is not None
    assert (device[0], device[1]) == (3600.0, True)
    assert orjson.loads(device[2]) == {"manhole.tilt": {"baseline": 3.5}}
    assert orjson.loads(device[3]) == {"angle": "tilt_deg"}
    assert await pool.fetchval("SELECT count(*) FROM device_state") == 2


async def test_importing_again_updates_what_is_told_and_leaves_what_is_not(pool: asyncpg.Pool) -> None:
    await bring_in(pool, GOOD)
    await pool.execute("""UPDATE device SET overrides = '{"manhole.tilt": {"baseline": 1, "major": {"limit": 20}}}'""")
    again = f"{HEAD}\nmh-1,manhole,511703,JG-1,,,,,,新公司,,,,,4.5,\n"
    assert await bring_in(pool, again) == (0, 1, 0, 1)
    asset = await pool.fetchrow("SELECT owner, keeper, longitude FROM asset WHERE name = 'JG-1'")
    assert tuple(asset or ()) == ("新公司", "养护所", 107.5)
    device = await pool.fetchrow("SELECT overrides, simulated, interval_s FROM device WHERE name = 'mh-1'")
    assert device is not None
    assert orjson.loads(device[0]) == {"manhole.tilt": {"baseline": 4.5, "major": {"limit": 20}}}
    assert (device[1], device[2]) == (True, 3600.0)
    assert await pool.fetchval("SELECT count(*) FROM fitting") == 1


async def test_an_asset_belongs_to_a_site_and_a_circuit(pool: asyncpg.Pool) -> None:
    head = "device,kind,district,asset,site,circuit"
    assert await bring_in(pool, f"{head}\nlamp-1,streetlight,511703,LD-1,S-00012,C-0007\n") == (1, 0, 1, 0)
    await bring_in(pool, f"{head}\nlamp-1,streetlight,511703,LD-1,,C-0008\n")
    assert tuple(await pool.fetchrow("SELECT site, circuit FROM asset") or ()) == ("S-00012", "C-0008")
    bad = sheet_of(f"{head}\nlamp-1,streetlight,511703,LD-1,a/b,\n").bad
    assert [(cell.line, cell.column) for cell in bad] == [(2, "site")]


async def test_an_import_that_names_another_asset_moves_the_sensor(pool: asyncpg.Pool) -> None:
    await bring_in(pool, GOOD)
    await bring_in(pool, "device,kind,district,asset\nmh-1,manhole,511703,JG-2\n")
    rows = await pool.fetch(
        "SELECT a.name, fitted_until IS NULL FROM fitting f JOIN asset a ON a.id = f.asset_id ORDER BY f.id"
    )
    assert [tuple(row) for row in rows] == [("JG-1", False), ("JG-2", True)]


def test_every_wrong_cell_is_named_by_line_and_column() -> None:
    text = f"""{HEAD}
m h,dragon,511703,,,,,,,,,,,,,
mh-2,manhole,5117,JG-2,12,13,200,nan,,,,x,pigeon,maybe,,[]
,manhole,511703,,,,,,,,,,,,,
mh-2,gas_meter,511703,,,,,,,,,-1,,,2,
mh-3,manhole,511703,JG-3,,,107,,,,,,carrier=1,,,"{{""a"":""b""}}"
mh-4,manhole,511703,JG-3,,,108,31,,,,,,,,,surplus
"""
    found = {(cell.line, cell.column) for cell in sheet_of(text).bad}
    assert found == {
        (2, "device"),
        (2, "kind"),
        (3, "district"),
        (3, "component_code"),
        (3, "unit_grid"),
        (3, "longitude"),
        (3, "latitude"),
        (3, "interval_s"),
        (3, "aliases"),
        (3, "simulated"),
        (3, "fields"),
        (4, "device"),
        (5, "device"),
        (5, "interval_s"),
        (5, "baseline_deg"),
        (6, "latitude"),
        (6, "aliases"),
        (6, "fields"),
        (7, "longitude"),
        (7, "(end)"),
    }


async def test_what_the_registry_or_the_sheet_itself_holds_against_a_row_is_named_too(pool: asyncpg.Pool) -> None:
    await bring_in(pool, GOOD)
    text = f"""{HEAD}
mh-2,manhole,511703,JG-2,5117030102000001,,,,,,,,,,,
mh-3,manhole,511703,,,,,,,,,,senml=urn:dev:mac:1,,,
mh-1,bin,511703,,,,,,,,,,,,,
mh-4,manhole,511703,JG-4,5117030102000004,,,,,,,,senml=x,,,
mh-5,manhole,511703,JG-5,5117030102000004,,,,,,,,senml=x,,,
"""
    found = {(cell.line, cell.column) for cell in await check_sheet(pool, sheet_of(text), lambda _: None)}
    assert found == {(2, "component_code"), (3, "aliases"), (4, "kind"), (6, "component_code"), (6, "aliases")}


@pytest.mark.slow
async def test_ten_thousand_rows_come_in_within_seconds(pool: asyncpg.Pool) -> None:
    rows = "\n".join(f"mh-{n},manhole,511703,JG-{n},511703010{n:07},senml=urn:dev:mac:{n}" for n in range(10_000))
    head = "device,kind,district,asset,component_code,aliases"
    assert await bring_in(pool, f"{head}\n{rows}\n") == (10_000, 0, 10_000, 0)
    assert await bring_in(pool, f"{head}\n{rows}\n") == (0, 10_000, 0, 10_000)
    assert await pool.fetchval("SELECT count(*) FROM device_alias") == 20_000


def run(monkeypatch: pytest.MonkeyPatch, url: str, *arguments: str) -> tuple[int, str]:
    monkeypatch.setenv("STREETWARDEN_DATABASE_URL", url)
    result = CliRunner().invoke(build_app(), list(arguments))
    return (result.exit_code if result.exception is None else 1), f"{result.output}{result.exception or ''}"


def test_the_commands_import_and_manage_keys(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "wells.csv"
    file.write_text(GOOD, encoding="gbk")
    code, said = run(monkeypatch, database_url, "import", str(file), "--dry-run")
    assert (code, "read as GBK" in said, "Nothing was written" in said) == (0, True, True)
    assert "Devices: 2 created, 0 updated" in run(monkeypatch, database_url, "import", str(file))[1]
    assert "Devices: 0 created, 2 updated" in run(monkeypatch, database_url, "import", str(file))[1]
    file.write_text(GOOD.replace("bin,511703", "bin,5117"), encoding="utf-8")
    code, said = run(monkeypatch, database_url, "import", str(file))
    assert code == 1
    assert "line 3, district: expected six digits" in said
    assert "nothing was imported" in said

    code, key = run(monkeypatch, database_url, "key", "new", "wall", "--role", "viewer")
    assert (code, key.startswith("sw_")) == (0, True)
    assert "wall" in run(monkeypatch, database_url, "key", "list")[1]
    key_id = key.split("_")[1]
    assert run(monkeypatch, database_url, "key", "revoke", key_id)[0] == 0
    assert "There is no key" in run(monkeypatch, database_url, "key", "revoke", "nobody")[1]


def test_a_file_that_is_no_such_table_is_one_sentence() -> None:
    for content, word in (
        (b"", "no kind"),
        (b"kind,district,colour\n", "colour"),
        (b"kind;district\n", "no kind"),
        (b'kind,district,device\n"', "cannot be read as CSV"),
        ("kind,district".encode("utf-16"), "UTF-16"),
        (b"kind,district\n\xff\xff\xff", "neither"),
    ):
        with pytest.raises(Exception, match=word):
            read_sheet(content, vocabulary())
