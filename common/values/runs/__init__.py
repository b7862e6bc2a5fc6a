"""Values of agents and their runs."""
