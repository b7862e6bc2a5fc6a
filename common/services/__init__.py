"""The use cases, one function each, named as the API names them. They touch only the database, never the world."""
