"""What the numbers come from: the service beside its ceiling and its peers, measured in one run."""
