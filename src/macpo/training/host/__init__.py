"""Environments that are not JAX: worker processes play them, whole episodes come back.

A worker (`worker`) is a process with one environment. It shares a piece of memory (`slot`) with the
process that started it, where observations and actions lie; short messages say when they are there.
An engine (`engines`) starts workers on this machine or on a cluster. The pool (`pool`) waits for
them, and replaces those that die or hang. The player (`player`)
lets the policy answer them, writes their episodes down (`episodes`), and passes these to the same
learner that JAX environments train.
"""
