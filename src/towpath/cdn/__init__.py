"""The CDN: serves stored files under unguessable, expiring URLs."""
