"""The only translator between messages and domain values."""
