"""One run from claim to report: what is done in which order, and what the platform is told."""
