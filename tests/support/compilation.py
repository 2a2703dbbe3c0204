"""How programs are compiled in tests where the last bits count."""

FOR_USERS = {"xla_cpu_use_fusion_emitters": True}
"""Options of `jax.jit`. The tests' cheap compilation (conftest.py) adds up in another order in a
program for one seed than in one for several."""
