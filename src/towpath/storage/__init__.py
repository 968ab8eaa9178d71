"""Bytes under an id, and what is known of them."""
