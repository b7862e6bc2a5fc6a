"""Our client of the Agent Client Protocol."""
