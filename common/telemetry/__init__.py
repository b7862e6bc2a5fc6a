"""What the operator sees of a process: logs, traces and error reports."""
