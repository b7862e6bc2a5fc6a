"""What services share in answering a request: access, pages of lists, and repeated requests."""
