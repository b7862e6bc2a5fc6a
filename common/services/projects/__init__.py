"""Projects: their settings, members and variables, and how they are set up and removed."""
