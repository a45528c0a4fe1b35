"""Crews and citizens: who works the tickets of a run, what they do when, and what they get wrong."""
