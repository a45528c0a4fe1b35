"""gas_meter.zone_loss: more gas flows into a zone than its meters let out: a leak, or a meter that runs slow."""

from typing import Final

from domain.alert import Severity
from rules.kinds.balance import Balance
from rules.rule import Rule

RULE: Final = Rule(
    key="gas_meter.zone_loss",
    title="Zone loses gas",
    title_zh="分区供销差过大",
    condition=Balance(
        # Counters, since a household's meter reports once a day: its flow at that moment says nothing of the day.
        measure="volume_m3",
        counter=True,
        severity=Severity.MAJOR,
        # A pinhole in a distribution main loses more; households' pilot flames and rounding lose less (trade practice).
        limit_m3h=0.5,
        # Gas companies count a difference of supply and sales (供销差率) of up to 5 % as ordinary (trade practice).
        limit_share=0.05,
        clear_m3h=0.3,
        # One day may be a meter that was read late; two are not.
        windows=2,
        window_s=86_400,
        # Meters report once a day, and one report may be late by half a day.
        gap_s=129_600.0,
        wait_s=172_800.0,
    ),
    case_class="E05-02",
)
