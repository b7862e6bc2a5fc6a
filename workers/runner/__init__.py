"""The agent's process: claims runs from the platform, lets a driver work in a fresh clone, and pushes the result.

It talks HTTP to the platform and git to the forge, and uses no database, broker or cluster. It authenticates with the
token of its agent and of each run; a driver's commands get neither.
"""
