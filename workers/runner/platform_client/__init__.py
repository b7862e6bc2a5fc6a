"""The platform as a runner sees it: its client, and what it tells of itself."""
