"""The benchmarks, held to what they claim."""
