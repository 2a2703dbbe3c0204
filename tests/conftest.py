"""Settings for all tests."""

import os

import jax

# compilation is most of the time of small tests, and most of that is LLVM's optimiser
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
# two devices, whatever the machine: large batches are shared out as on a real run
jax.config.update("jax_num_cpu_devices", 2)
