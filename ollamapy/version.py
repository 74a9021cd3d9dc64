"""The versions that ollamapy reports: its own and the Ollama release whose API it speaks."""

__version__ = "0.1.0"

OLLAMA_VERSION = "0.33.0"
