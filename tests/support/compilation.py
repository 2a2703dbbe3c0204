"""How programs are compiled in tests."""

import jax

_OLDER = jax.__version_info__ < (0, 11)
"""JAX 0.11 has neither the flag nor what it leaves out."""

CHEAP = "--xla_backend_optimization_level=0" + _OLDER * " --xla_cpu_use_fusion_emitters=false"
"""XLA's flags. Compilation is most of the time of small tests, and most of that is LLVM's optimiser
and MLIR."""

FOR_USERS = {"xla_cpu_use_fusion_emitters": True} if _OLDER else {}
"""Options of `jax.jit` where the last bits count. The cheap compilation adds up in another order in
a program for one seed than in one for several."""
