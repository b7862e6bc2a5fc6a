"""The state changes of projects, tasks, runs, agents, groups and deployments. No other module changes a state."""
