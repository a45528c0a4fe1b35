"""All physics, found by listing the package: a file more is a kind more."""

import importlib
import pkgutil
import random
from collections.abc import Mapping

from devices.kind import DeviceKind
from simulators.physics import kinds
from simulators.physics.model import Model, Physics, Place
from simulators.physics.swing import Swing


def load_physics() -> Mapping[str, Physics]:
    """Physics by the key of the device kind."""
    names = sorted(module.name for module in pkgutil.iter_modules(kinds.__path__))
    return {name: importlib.import_module(f"{kinds.__name__}.{name}").PHYSICS for name in names}


def make_model(
    kind: DeviceKind, physics: Mapping[str, Physics], place: Place, dice: random.Random, key: bytes
) -> Model:
    """The model of one device; a kind without physics of its own swings about its typical values."""
    own = physics.get(kind.key)
    return Swing(kind, place, dice, key) if own is None else own(place, dice, key)
