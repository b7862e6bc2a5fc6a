"""What a project is set to: its variables, checks, names and places. Reading, and small changes."""
