"""A light look at the broker contract when ingest starts: a warning for each thing that is broken, and no more."""

import structlog

from domain.errors import StreetwardenError
from ingest.broker import Protocol
from ingest.broker_check import Verdict, check_broker
from service.neighbours import broker_address
from service.settings import Settings

log = structlog.get_logger()


async def tell_broken_contract(settings: Settings, mqtt_url: str) -> None:
    """Look for two seconds at most, beside everything else. What cannot be seen stops nobody."""
    try:
        broker = broker_address(settings, mqtt_url)
        findings = await check_broker(broker, settings.client_id, Protocol(settings.mqtt_protocol), light=True)
    except StreetwardenError as error:
        log.info("broker_contract_unseen", why=str(error))
        return
    for finding in findings:
        if finding.verdict is Verdict.BROKEN:
            log.warning("broker_contract_broken", needed=finding.needed, seen=finding.seen, set=finding.remedy)
    unseen = [finding.requirement for finding in findings if finding.verdict is Verdict.UNSEEN]
    log.info("broker_contract", looked_at=len(findings), unseen=unseen)
