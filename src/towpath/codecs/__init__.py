"""Pixels, frames and samples in and out of bytes; no network, no store."""
