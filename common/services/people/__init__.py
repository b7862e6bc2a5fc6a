"""Accounts, logins, passwords and tokens."""
