"""Tests: `tests/store/test_blobs.py` tests `ollamapy/store/blobs.py`."""
