"""The product as someone sees it who was given the contract and nothing else."""
