"""The service as a device of its own: alerts about itself (自身告警) stand where operators look for all others.

It is none of the city's kinds: nobody registers such a device, nothing is published for it, and the simulator does
not play it. So it lies beside their folder and not in it.
"""

from typing import Final

from devices.kind import DeviceKind
from domain.alert import Severity
from rules.kinds.reported import Reported
from rules.rule import Rule

OUTAGE: Final = "ingest.outage"
SESSION_LOST: Final = "ingest.session_lost"

OWN_KIND: Final = DeviceKind(
    key="ingest",
    title="Streetwarden's own ingest",
    title_zh="本系统接入服务",
    measures=(),
    interval_s=60.0,
    rules=(
        # Critical: as long as it lasts, no cover that opens and no gas that leaks is told to anybody.
        Rule(
            key=OUTAGE,
            title="Messages do not reach the service",
            title_zh="消息接入中断",
            condition=Reported(Severity.CRITICAL),
        ),
        Rule(
            key=SESSION_LOST,
            title="The broker had forgotten the session: messages may be lost",
            title_zh="消息代理会话丢失, 可能丢失消息",
            condition=Reported(Severity.MAJOR),
        ),
    ),
    faults=(),
)
