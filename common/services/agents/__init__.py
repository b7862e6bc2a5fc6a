"""Agents: how they register, which task each gets, and the pods in which some of them run."""
