"""One app in one process."""
