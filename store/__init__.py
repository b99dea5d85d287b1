"""The log: what happened is appended and read; nothing in it is changed or removed."""
