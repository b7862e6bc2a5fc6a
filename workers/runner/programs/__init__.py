"""How a coding CLI works in a run: its processes, its session, its prompt, and what it says."""
