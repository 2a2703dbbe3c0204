"""Settings for all tests."""

import os

# compilation is most of the time of small tests, and most of that is LLVM's optimiser
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
