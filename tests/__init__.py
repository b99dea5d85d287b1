"""The proof: one folder per room, and what holds for the whole house."""
