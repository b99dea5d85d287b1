"""What the service is held against, each behind gRPC in a process of its own."""
