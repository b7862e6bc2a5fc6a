"""The model gateway: passes runs' calls on to model providers, with the real key, and counts what they use."""
