"""The coordinator: what spans devices is decided here, by one elected process, in the order of commits."""
