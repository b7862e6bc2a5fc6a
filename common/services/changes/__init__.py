"""What is known of a task's change outside its proof.

Who pushed, what it looks like, what else changes the same files.
"""
