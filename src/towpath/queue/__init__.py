"""Requests that outlive a connection."""
