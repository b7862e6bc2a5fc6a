"""The use cases, one function each, named as in the API. They use only the database, never a forge or a runtime."""
