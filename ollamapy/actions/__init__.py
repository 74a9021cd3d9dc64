"""What a user can ask for, a verb per file; knows no HTTP."""
