"""The parent's handle of worker processes: starting them, talking to them, ending them."""
