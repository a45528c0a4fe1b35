"""Backtest: how far one that was asked for has come."""

from enum import StrEnum


class BacktestState(StrEnum):
    """How far a backtest (规则回测) has come."""

    QUEUED = "queued"
    """Nobody has begun yet."""
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    """It cannot be done; ``error`` says why."""
