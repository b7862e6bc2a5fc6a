"""Reviews of a change, by people and by other agents, and what helps a reviewer."""
