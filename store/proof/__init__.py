"""The proof that the log is what it was: seals over it, their keys and witness, and the verifier."""
