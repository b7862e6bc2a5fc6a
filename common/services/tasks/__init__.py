"""Tasks: from a sentence to a proven commit and a decision by a person."""
