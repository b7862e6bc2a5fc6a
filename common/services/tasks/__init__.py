"""Tasks: from their description to a verified commit and its approval."""
