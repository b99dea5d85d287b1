"""The contract of tax engines, version 1: generated code."""
