"""The generated contract, version 1."""
