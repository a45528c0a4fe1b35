"""One file per resource; thin: parse, call, shape."""
