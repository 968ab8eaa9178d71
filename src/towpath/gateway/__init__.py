"""The public front door."""
