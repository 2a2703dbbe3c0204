"""Algorithms: one short file each, on top of one learner per family."""
