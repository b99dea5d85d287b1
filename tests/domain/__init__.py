"""The rules, proved sentence by sentence."""
