"""Prompts: rendering a chat with the model's own template, within bounds and without control tokens from user text."""
