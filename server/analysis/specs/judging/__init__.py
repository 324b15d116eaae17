"""Validates one exchange against a specification."""
