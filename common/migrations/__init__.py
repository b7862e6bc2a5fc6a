"""The schema's history. A column goes in two releases: first unused, then dropped."""
