"""Fakes of the package's own seams."""
