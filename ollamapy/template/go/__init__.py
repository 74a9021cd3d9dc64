"""Go's text/template in Python, and Ollama's contract for prompt templates on top of it."""
