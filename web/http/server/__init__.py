"""What is done for every request, beside its view: ids, counts, traces, limits of time."""
