"""One file per command of the command line; service.cli gathers what stands here."""
