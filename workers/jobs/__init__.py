"""The jobs, one function each: it asks a service what is to be done, has a provider do it, and has it recorded."""
