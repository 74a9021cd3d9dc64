"""Wire shapes of the APIs that ollamapy speaks, to and from its own records: pure, no HTTP."""
