"""Production: a city, a scenario and a seed become traffic and truth; the same ones give the same, always."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from devices.kind import DeviceKind
from ingest.format import Format
from simulators.casting import cast_incidents
from simulators.city import City
from simulators.faultbook.catalogue import Listed
from simulators.scenario import Scenario
from simulators.sensor import Sensor, man_city
from simulators.traffic import Traffic
from simulators.truth import FaultInstance
from simulators.witness import Sight, write_down


@dataclass(frozen=True, slots=True)
class Production:
    """What is played."""

    sensors: Sequence[Sensor]
    traffic: Traffic
    truth: Sequence[FaultInstance]


def produce(
    city: City,
    scenario: Scenario,
    book: Mapping[str, Listed],
    kinds: Mapping[str, DeviceKind],
    source: Format,
    *,
    seed: int,
    start_ms: int,
    end_ms: int,
) -> Production:
    """Draw the faults, write the truth, and make the traffic ready.

    Raises:
        InvalidInputError: city and scenario do not fit together.
    """
    sensors = man_city(city, kinds, source, run_seed=seed)
    incidents = cast_incidents(scenario, city, sensors, book, seed=seed, start_ms=start_ms, end_ms=end_ms)
    weather = scenario.weather(start_ms)
    sight = Sight(weather, start_ms, end_ms)
    truth = [write_down(incident, sight) for incident in incidents]
    return Production(sensors, Traffic(sensors, source, weather, start_ms=start_ms), truth)
