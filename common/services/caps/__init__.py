"""Caps of spending: what they are, what was spent, and what becomes of a task that reaches one."""
