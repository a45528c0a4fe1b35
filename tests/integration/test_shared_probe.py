"""Whether a shared subscription delivers is found out by trying: mosquitto's does, the embedded broker's does not."""

import pytest

from domain.errors import UnavailableError
from ingest.broker import BrokerAddress, Protocol
from ingest.probe import shared_subscription_delivers
from service.ports import free_port
from tests.support.brokers import Broker


@pytest.mark.parametrize("protocol", [Protocol.AUTO, Protocol.V5])
async def test_mosquittos_shared_subscription_delivers(mosquitto: Broker, protocol: Protocol) -> None:
    assert await shared_subscription_delivers(BrokerAddress.from_url(mosquitto.url), 20.0, protocol)


async def test_the_embedded_brokers_shared_subscription_is_granted_and_delivers_nothing(
    embedded_broker: Broker,
) -> None:
    assert not await shared_subscription_delivers(BrokerAddress.from_url(embedded_broker.url), 3.0)


async def test_a_broker_that_is_away_is_no_answer() -> None:
    nobody = BrokerAddress("127.0.0.1", free_port(), None, None)
    with pytest.raises(UnavailableError, match="cannot be reached"):
        await shared_subscription_delivers(nobody)
