"""What people and agents tell each other about a task."""
