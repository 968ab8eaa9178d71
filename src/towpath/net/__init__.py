"""How bytes cross the network: `origin` for strangers' URLs, `upstream` for our own runners."""
