"""`aiworker up`: every program of the platform on one machine."""
