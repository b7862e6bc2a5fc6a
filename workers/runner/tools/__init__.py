"""The platform's tools for a run's agent."""
