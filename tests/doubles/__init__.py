"""Servers that stand in for what is not on this machine: real HTTP, real repositories, faults by script."""
