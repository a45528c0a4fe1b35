"""compose.yaml starts what exists, with files that exist, and gives nothing away."""

import re
from pathlib import Path
from typing import Any

import typer.main
import yaml

from service.cli import build_app
from service.settings import PREFIX, Settings
from tests.support.documents import ROOT, text_of

COMPOSE: Any = yaml.safe_load(text_of(ROOT / "compose.yaml"))


def test_compose_starts_commands_that_exist_with_settings_that_exist() -> None:
    cli: Any = typer.main.get_command(build_app())
    own = {name: service for name, service in COMPOSE["services"].items() if service["image"] == "streetwarden"}
    assert {name: service["command"][0] for name, service in own.items()} == {name: name for name in own}
    assert own.keys() <= cli.commands.keys()
    for service in own.values():
        settings = {name.removeprefix(PREFIX).lower() for name in service.get("environment", {})}
        assert settings <= Settings.model_fields.keys()


def test_compose_names_no_password_and_only_files_that_are_there_or_are_made() -> None:
    assert not re.search(r"PASSWORD:|://[^/\s]*@", text_of(ROOT / "compose.yaml"))
    made = set(re.findall(r"> (\S+)$", text_of(ROOT / "deploy" / "make-secrets.sh"), re.MULTILINE))
    needed = {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()} | {"service.env"}
    assert needed <= made
    mounts = [mount for service in COMPOSE["services"].values() for mount in service.get("volumes", [])]
    for source in (mount.partition(":")[0] for mount in mounts):
        assert (ROOT / source).is_file() if source.startswith(".") else source in COMPOSE["volumes"]


def test_compose_watches_every_program_and_opens_nothing_to_other_machines() -> None:
    for name, service in COMPOSE["services"].items():
        assert "healthcheck" in service or name == "api", "the image's own is the API's"
        for port in service.get("ports", []):
            assert re.match(r"\$\{[A-Z]+_BIND:-127\.0\.0\.1\}:", port)
