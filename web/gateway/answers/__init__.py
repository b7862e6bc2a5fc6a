"""Providers' answers: passed on as they arrive, and read for what they used."""
