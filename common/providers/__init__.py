"""Providers of outside services: a forge hosts the code, a runtime runs it. They never use the database."""
