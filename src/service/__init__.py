"""The composition root: settings, wiring, the flow, the commands."""
