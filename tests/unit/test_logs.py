"""The log never shows the local variables of a frame: they hold keys and passwords."""

import pytest
import structlog

from service.logs import set_up_logs
from service.settings import Settings


@pytest.fixture(autouse=True)
def as_before() -> object:
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_shows_no_local_variables(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(Settings(log_format=form), program="test")  # pyright: ignore[reportArgumentType]  # an allowed word
    log = structlog.get_logger()

    def fail() -> None:
        password = str(6 * 7) + "secret"
        raise ValueError(len(password))

    try:
        fail()
    except ValueError:
        log.exception("failed")
    written = capsys.readouterr().err
    assert "ValueError" in written
    assert "42secret" not in written
