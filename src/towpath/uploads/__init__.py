"""Bytes or a path -> a public URL."""
