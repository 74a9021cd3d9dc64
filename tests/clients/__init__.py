"""Real clients of the APIs: a program per client, and the tests that run them."""
