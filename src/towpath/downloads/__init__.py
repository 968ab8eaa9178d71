"""A URL -> a local path."""
