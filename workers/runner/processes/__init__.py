"""The processes of a run: started, confined, watched and ended."""
