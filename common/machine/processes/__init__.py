"""Child processes and their trees."""
