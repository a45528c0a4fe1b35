"""Scoring: truth, alerts and tickets in, how good the service was out; pure."""
