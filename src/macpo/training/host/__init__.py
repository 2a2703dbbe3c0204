"""Environments that are not JAX: worker processes play them, whole episodes come back.

A worker (`worker`) is a process with one environment. It shares a piece of memory (`slot`) with the
main process, where observations and actions lie; short messages say when they are there. The pool
(`pool`) starts workers, waits for them, and replaces those that die or hang. The player (`player`)
lets the policy answer them, writes their episodes down (`episodes`), and passes these to the same
learner that JAX environments train.
"""
