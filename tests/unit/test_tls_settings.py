"""What TLS needs is checked before anything connects, and each fault is one sentence that names the setting."""

from pathlib import Path

import pytest

from domain.errors import InvalidInputError, RefusedError
from ingest.broker import BrokerAddress
from ingest.tls import TlsFiles, make_context
from service.failures import WrongSettingError
from service.neighbours import broker_address
from service.settings import load_settings
from tests.support.certificates import Authority

SECURE = "mqtts://worker:s3cret@broker.example"


def set_all(monkeypatch: pytest.MonkeyPatch, **names: object) -> None:
    for name, value in names.items():
        monkeypatch.setenv(f"STREETWARDEN_{name}", str(value))


def test_mqtts_means_tls_on_its_own_port() -> None:
    secure, plain = BrokerAddress.from_url(SECURE), BrokerAddress.from_url("mqtt://broker.example")
    assert (secure.port, secure.tls) == (8883, TlsFiles())
    assert (plain.port, plain.tls) == (1883, None)
    assert "s3cret" not in f"{secure} {secure!r}"


@pytest.mark.parametrize("url", ["http://u:s3cret@h", "mqtts://", "mqtt://u:s3cret@h:port", "mqtt://u:s3cret@[h"])
def test_another_url_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(InvalidInputError, match="mqtts://user:password@host:8883") as refused:
        BrokerAddress.from_url(url)
    assert "s3cret" not in str(refused.value)


def test_the_files_reach_the_broker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own = authority.sign("worker")
    set_all(monkeypatch, MQTT_URL=SECURE, MQTT_CA=authority.cert, MQTT_CERT=own.cert, MQTT_KEY=own.key)
    settings = load_settings()
    assert broker_address(settings, SECURE).tls == TlsFiles(authority.cert, own.cert, own.key)


@pytest.mark.parametrize("url", [None, "mqtt://broker.example"])
def test_a_ca_without_tls_is_refused(monkeypatch: pytest.MonkeyPatch, url: str | None) -> None:
    """Whoever names a CA believes that nobody can listen in."""
    set_all(monkeypatch, MQTT_CA="ca.pem", **({"MQTT_URL": url} if url else {}))
    with pytest.raises(WrongSettingError, match="does not begin with mqtts"):
        load_settings()


def test_a_key_without_its_certificate_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, MQTT_URL=SECURE, MQTT_KEY="worker.key")
    with pytest.raises(WrongSettingError, match="STREETWARDEN_MQTT_CERT"):
        load_settings()


def test_a_file_that_is_missing_or_something_else_is_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own, other = authority.sign("worker"), authority.sign("other")
    nothing = tmp_path / "nothing.pem"
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    for files, wanted in (
        (TlsFiles(ca=nothing), "STREETWARDEN_MQTT_CA=.* does not exist"),
        (TlsFiles(ca=text), "STREETWARDEN_MQTT_CA=.* cannot be used"),
        (TlsFiles(cert=nothing, key=own.key), "STREETWARDEN_MQTT_CERT=.* does not exist"),
        (TlsFiles(cert=own.cert, key=nothing), "STREETWARDEN_MQTT_KEY=.* does not exist"),
        (TlsFiles(cert=own.cert, key=other.key), "STREETWARDEN_MQTT_CERT=.* cannot be used"),
        (TlsFiles(cert=own.cert), "STREETWARDEN_MQTT_CERT=.* cannot be used"),
    ):
        with pytest.raises(RefusedError, match=wanted):
            make_context(files)
