"""The conversation that `ollamapy run` holds on a terminal."""
