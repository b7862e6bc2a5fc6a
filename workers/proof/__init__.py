"""The checks of a claimed commit: what is run and read, and what the results mean."""
