"""What a check's tests reported: results and coverage, on this machine and in pods."""
