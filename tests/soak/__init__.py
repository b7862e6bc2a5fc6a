"""Long tests: `make soak`. Not collected by `make test`."""
