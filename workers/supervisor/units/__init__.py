"""The programs that the supervisor runs: started, bounded, logged and ended."""
