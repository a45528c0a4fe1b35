"""One file per rule kind; each offers ``RULE_KIND`` and is gathered by ``rules.catalogue``."""
