"""The HTTP layer around the views: blueprint, fields, replies, errors, callers, limits. It knows no resource."""
