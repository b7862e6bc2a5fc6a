"""Values of checks, tests and their results."""
