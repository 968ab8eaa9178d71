"""What a file is: its type, its name, its inline form. No input or output here."""
