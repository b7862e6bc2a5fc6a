"""What every git process of this product has in common: its environment, its limits, and checks around it."""
