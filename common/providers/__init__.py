"""The ways to the outside world: a forge for the code, a runtime for what runs. They never touch the database."""
