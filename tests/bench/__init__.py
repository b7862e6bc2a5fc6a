"""What this machine manages: `make bench`. Figures for people to compare; no test asserts a time."""
