"""One file per group rule, each over devices of one or several kinds; each offers ``RULE``."""
