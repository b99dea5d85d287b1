"""The answers: read models worked out from the log, and worked out again at will."""
