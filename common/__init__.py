"""What the web and the worker processes agree on: data, rules and the ways to the outside world."""
