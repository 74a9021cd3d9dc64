"""Which models are loaded, who may use them, and who is evicted."""
