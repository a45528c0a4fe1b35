"""All SQL, and the only place that knows the database driver."""
