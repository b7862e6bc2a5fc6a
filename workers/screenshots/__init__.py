"""Screenshots of pages that nobody trusts."""
