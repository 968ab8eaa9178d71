"""The typed files that an endpoint takes and gives."""
