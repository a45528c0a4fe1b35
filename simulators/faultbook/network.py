"""What befalls messages on their way: a gateway down, the broker away, messages twice or in the wrong order."""

from typing import Final

from simulators.city import GATEWAY
from simulators.faultbook.entry import CITY, HOUR_S, FaultEntry
from simulators.trouble import Delivery, Effect

NETWORK: Final = "network"
"""Stands where other faults have their device kind."""

TABLE: Final = (
    FaultEntry(
        "gateway_out",
        "Gateway down: none of its devices is heard",
        "网关离线",
        Effect(delivery=Delivery.LOST, noticed=False),
        allows=("{kind}.offline", "site.silent", "streetlight.circuit_dark"),
        needs="group",
        wants="network.gateway_out",
        within_s=2 * HOUR_S,
        lasts_s=(0.5 * HOUR_S, 4 * HOUR_S),
        scope=GATEWAY,
        seen=False,
        note="The devices go on sending and counting; one gateway is down, not hundreds of devices.",
    ),
    FaultEntry(
        "broker_out",
        "Broker out of reach: everything waits and comes later",
        "消息中间件中断",
        Effect(delivery=Delivery.HELD, noticed=False),
        lasts_s=(0.1 * HOUR_S, 0.4 * HOUR_S),
        scope=CITY,
        seen=False,
        note="Shorter than any rule on silence waits; what was measured meanwhile comes in its order, late.",
    ),
    FaultEntry(
        "duplicates",
        "Every message arrives twice",
        "消息重复",
        Effect(delivery=Delivery.TWICE, noticed=False),
        forbids={"*": "The same message twice says nothing new."},
        lasts_s=(1 * HOUR_S, 12 * HOUR_S),
        seen=False,
        note="QoS 1 promises at least once.",
    ),
    FaultEntry(
        "reordered",
        "Messages arrive in the wrong order",
        "消息乱序",
        Effect(delivery=Delivery.SWAPPED, noticed=False),
        forbids={"*": "Each message is right; only their order is not."},
        allows=("{kind}.offline",),
        lasts_s=(1 * HOUR_S, 12 * HOUR_S),
        seen=False,
        note="Two and two change places.",
    ),
)
"""For every kind; found by ``simulators.faultbook.catalogue``."""
