"""Judgement: rules as data, one file per rule kind, and the engine that gives them time."""
