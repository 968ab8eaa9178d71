"""For the tests of apps: a real server, uploads that stay in memory, a hostile web server."""

from towpath.testing.hostile import hostile_origin
from towpath.testing.origins import Origin
from towpath.testing.servers import Server, memory_uploads, serve

__all__ = ["Origin", "Server", "hostile_origin", "memory_uploads", "serve"]
