"""What a sandbox reaches of the network: through which proxy, by which rules."""
