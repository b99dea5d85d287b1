"""What holds for every test."""

import os

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # the last line of a run is the runner's own
