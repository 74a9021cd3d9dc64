"""Generated text to answer parts (content, thinking, tool calls): incremental and pure."""
