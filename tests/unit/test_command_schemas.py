"""The schemas command: it writes every generated document, and writes it again without a change."""

from pathlib import Path

import orjson
import typer
from typer.testing import CliRunner, Result

from devices.catalogue import load_kinds
from service.commands import schemas


def run(out: Path) -> Result:
    app = typer.Typer()
    schemas.register(app)
    return CliRunner().invoke(app, ["--out", str(out)])


def written(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_it_makes_the_folder_and_names_what_it_wrote(tmp_path: Path) -> None:
    out = tmp_path / "new" / "docs"
    result = run(out)
    assert result.exit_code == 0
    assert written(out) == schemas.documents()
    assert sorted(result.stdout.split()) == sorted(str(out / name) for name in schemas.documents())


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    run(tmp_path)
    first = written(tmp_path)
    run(tmp_path)
    assert written(tmp_path) == first


def test_each_file_ends_with_a_line_end_and_each_json_file_is_json() -> None:
    for name, text in schemas.documents().items():
        assert text.endswith(b"\n")
        assert not name.endswith(".json") or orjson.loads(text)


def test_the_table_of_measures_has_every_measure_of_every_kind() -> None:
    table = schemas.documents()["measures.md"].decode()
    for kind in load_kinds().values():
        section = table.partition(f"## `{kind.key}`:")[2].partition("\n## ")[0]
        for measure in kind.measures:
            assert f"| `{measure.name}` | {measure.title} {measure.title_zh} | {measure.unit}" in section


def test_every_row_of_the_table_has_all_its_columns() -> None:
    rows = [line for line in schemas.documents()["measures.md"].decode().splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {6}
