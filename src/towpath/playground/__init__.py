"""The page of an app, in a browser."""
