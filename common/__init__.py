"""Code that web and worker processes share: models, services, settings, and the providers for forge and runtime."""
