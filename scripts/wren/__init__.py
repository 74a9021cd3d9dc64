"""Everything that makes the bundled models: corpus, tokenizer, training, export and scores; `make` runs it."""
