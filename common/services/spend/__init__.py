"""Models: their providers, the tokens with which runs call them, each call, and what was spent."""
