"""The fault book: every fault that can be played, what it does, and what must, may and must not follow."""
