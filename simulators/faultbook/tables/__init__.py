"""One table a device kind, found by listing; each offers ``TABLE``. Faults that it leaves out play as the kind says."""
