"""Showing a score: as tables on a terminal and as one HTML page that needs nothing else."""
