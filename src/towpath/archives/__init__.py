"""Archives of strangers unpacked within limits, and archives of our own made."""
