"""One file per device kind; each offers ``KIND`` and is gathered by ``devices.catalogue``."""
