"""Addresses, proxies and TLS: how this machine reaches others, and which it may reach."""
