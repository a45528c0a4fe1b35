"""Where the database and the broker are: as the settings say, else the embedded ones under the data directory."""

from ingest.broker import BrokerAddress
from ingest.tls import make_context
from service.embedded.nats import EmbeddedNats
from service.embedded.postgres import EmbeddedPostgres
from service.failures import WrongSettingError
from service.settings import Settings


def embedded_postgres(settings: Settings) -> EmbeddedPostgres:
    """The database that ``streetwarden run`` starts when no other is named."""
    return EmbeddedPostgres(settings.data_dir / "postgres", settings.logs / "postgres.log")


def embedded_nats(settings: Settings) -> EmbeddedNats:
    """The broker that ``streetwarden run`` starts when no other is named."""
    return EmbeddedNats(
        settings.data_dir / "nats",
        settings.logs / "nats-server.log",
        host=settings.mqtt_host,
        port=settings.mqtt_port,
        user=settings.mqtt_user,
        password=settings.mqtt_password.get_secret_value() if settings.mqtt_password else None,
    )


def database_url(settings: Settings) -> str:
    """The database for any command; holds the password.

    Raises:
        WrongSettingError: none is named and ``streetwarden run`` has never made one here.
    """
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    try:
        return embedded_postgres(settings).url
    except FileNotFoundError:
        raise WrongSettingError(
            f"There is no database: STREETWARDEN_DATABASE_URL is not set, and none lies under {settings.data_dir}. "
            "Name one, or start `streetwarden run`, which makes one."
        ) from None


def mqtt_url(settings: Settings) -> str:
    """The broker for any command; may hold a password."""
    if settings.mqtt_url is not None:
        return settings.mqtt_url.get_secret_value()
    return embedded_nats(settings).url


def broker_address(settings: Settings, url: str) -> BrokerAddress:
    """Read the URL, and the files that TLS needs once, so that a wrong one is told at the start.

    Raises:
        InvalidInputError: the URL cannot be understood.
        RefusedError: a file is missing or holds something else.
    """
    broker = BrokerAddress.from_url(url, settings.tls_files)
    if broker.tls is not None:
        make_context(broker.tls)
    return broker
