"""The edge: the contract is spoken here, and the whole house is wired together."""
