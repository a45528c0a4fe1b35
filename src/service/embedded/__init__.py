"""The database and the broker that the service brings along and starts itself."""
