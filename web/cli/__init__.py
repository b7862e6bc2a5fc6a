"""The command `aiworker`."""
