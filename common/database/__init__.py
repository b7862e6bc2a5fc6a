"""The database: engines and connections, transactions, and statements that are compiled once."""
