"""The benchmark: the real programs in a world of their own, measured from outside."""
