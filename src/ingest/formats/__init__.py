"""One file per payload format; each offers ``FORMAT`` and is gathered by ``ingest.catalogue``."""
