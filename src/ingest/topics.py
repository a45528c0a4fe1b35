"""The native topic tree: how its topics are written and read."""

import re
from typing import Final

from domain.device import DEVICE_NAME, DISTRICT_CODE
from ingest.format import Address

ROOT: Final = "city/v1"
"""The version stands in the topic, so that a second tree can travel beside this one."""

FILTER: Final = f"{ROOT}/+/+/+/+"

TELEMETRY: Final = "telemetry"
EVENT: Final = "event"
STATUS: Final = "status"
COMMAND: Final = "command"
REPLY: Final = "reply"
HEARTBEAT: Final = "heartbeat"
"""Our own, sent and read back to prove that the broker delivers; every format has a topic for it."""

LEAVES: Final = (TELEMETRY, EVENT, STATUS, COMMAND, REPLY, HEARTBEAT)

KIND_KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
"""What a device kind may be called: it stands in a topic level and in rule keys."""

_SERVICE_DISTRICT: Final = "000000"
"""No division has this code: the service's own messages travel under it."""
_SERVICE_KIND: Final = "service"

_TOPIC: Final = re.compile(
    rf"{ROOT}/({DISTRICT_CODE.pattern})/({KIND_KEY.pattern})/({DEVICE_NAME.pattern})/({'|'.join(LEAVES)})"
)


def native_topic(district: str, kind: str, device: str, leaf: str) -> str:
    """Write the topic on which a device sends one sort of message."""
    return f"{ROOT}/{district}/{kind}/{device}/{leaf}"


def native_heartbeat_topic(client_id: str) -> str:
    """Write the topic of the service's own heartbeat."""
    return native_topic(_SERVICE_DISTRICT, _SERVICE_KIND, client_id, HEARTBEAT)


def read_native_topic(source: str, topic: str) -> Address | None:
    """Read a native topic, or ``None`` if a level is not what it must be or the last level is unknown."""
    match = _TOPIC.fullmatch(topic)
    if match is None:
        return None
    district, kind, device, leaf = match.groups()
    return Address(source, device, leaf, kind, district)
