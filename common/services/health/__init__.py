"""Whether the instance itself works: schema, database server, sweep, measures."""
