"""The agent's own process: it claims runs from the platform, lets a driver work in a fresh clone, and pushes.

It speaks HTTP with the platform and git with the forge, and knows nothing else of AiWorker: no database, no broker,
no cluster. What it may do it does with the token of its agent and of each run; neither reaches a driver's commands.
"""
