"""The way in: topics, payload formats, the normaliser and the MQTT subscriber."""
