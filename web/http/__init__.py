"""What stands around a view: blueprint, fields, replies, errors, callers, limits. Nothing here knows a resource."""
