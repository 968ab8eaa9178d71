"""For the tests of apps: a real server on a free port, and uploads that stay in memory."""

from towpath.testing.servers import Server, memory_uploads, serve

__all__ = ["Server", "memory_uploads", "serve"]
