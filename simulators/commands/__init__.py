"""The commands of ``streetwarden-sim``: one file each, which offers ``register(app)``."""
