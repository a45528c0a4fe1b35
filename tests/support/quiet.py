"""Whether a condition would not even be asked about some values, as the plan works it out."""

from collections.abc import Mapping

from domain.reading import MeasureValue
from rules.rule import Condition


def is_quiet(condition: Condition, values: Mapping[str, MeasureValue]) -> bool:
    """Every value that concerns it lies inside its quiet interval."""
    for measure in condition.measures:
        interval = condition.quiet_within(measure)
        if measure in values and (interval is None or not interval[0] < values[measure] < interval[1]):
            return False
    return True
