"""Play of environments that are not JAX: worker processes, and whole episodes from them.

A worker (`worker`) is a process with one environment. It shares a piece of memory (`slot`) with the
main process, where observations and actions lie; short messages say when they are there. The pool
(`pool`) starts workers, waits for them, and replaces those that die or hang. `rollout` plays with
the policy what `training.rollout` plays for JAX environments, and hands it to the same learner.
"""
