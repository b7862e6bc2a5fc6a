"""The API's description (OpenAPI), made from what serves the API."""
