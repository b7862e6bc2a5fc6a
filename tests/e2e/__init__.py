"""The product as its users have it: started by its own command, seen by HTTP, WebSocket, git and a browser."""
