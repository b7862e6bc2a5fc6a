"""The proof of an agent's work: its checks, the tests that ran, and what people decide of their results."""
