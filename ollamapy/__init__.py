"""ollamapy: a local model manager in Python that speaks Ollama's API and runs models through llama.cpp."""
