"""What an author declares: an App and its endpoints. Nothing here serves anything."""
