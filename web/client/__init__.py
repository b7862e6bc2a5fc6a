"""The client for Python: a package that is made of the API's description, and served to pip by every instance."""
