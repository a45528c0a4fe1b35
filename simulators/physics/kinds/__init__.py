"""One file per device kind; each offers ``PHYSICS`` and is gathered by ``simulators.physics.catalogue``."""
