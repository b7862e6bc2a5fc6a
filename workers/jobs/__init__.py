"""The jobs, one function each: read the plan from a service, call a provider, record the result with the service."""
