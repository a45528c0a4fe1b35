"""Gather a folder of plug-ins: one file each, offering one typed constant."""

import importlib
import pkgutil
from types import ModuleType
from typing import TypeVar

Offer = TypeVar("Offer")


def gather(package: ModuleType, constant: str, promise: type[Offer]) -> dict[str, Offer]:
    """List the modules of ``package`` and return what each offers as ``constant``, by module name.

    Raises:
        TypeError: a module offers nothing under that name, or something that breaks the promise; the message names
            the file, so that a newcomer's first plug-in fails with a sentence.
    """
    found: dict[str, Offer] = {}
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda module: module.name):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        offer: object = getattr(module, constant, None)
        if not isinstance(offer, promise):
            message = f"{module.__name__} must offer {constant}: {promise.__name__}, but offers {type(offer).__name__}"
            raise TypeError(message)
        found[info.name] = offer
    return found
