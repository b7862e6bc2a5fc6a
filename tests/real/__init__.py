"""The contract suites against servers that are really there. Left out unless `make test-real` names one."""
