"""The transcript of a run, as the runner writes it."""
