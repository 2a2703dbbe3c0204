"""A study that is trained in seconds."""

import shlex

from macpo import Experiment, Run
from macpo.algorithms import VDN
from macpo.envs import TwoStep

RUN = Run(
    steps=120,
    batch_size=8,
    batch_size_run=4,
    updates_per_iteration=1,
    buffer_size=64,
    test_interval=40,
    test_nepisode=2,
    checkpoint_interval=40,
)
SMALL = Experiment(TwoStep(), VDN(rnn_hidden_dim=4), run=RUN)
FLAGS = shlex.split(
    """--env two-step --algorithm vdn --algorithm.rnn-hidden-dim 4 --batch-size 8
    --batch-size-run 4 --updates-per-iteration 1 --buffer-size 64 --test-interval 40
    --test-nepisode 2 --checkpoint-interval 40"""
)
"""The same as flags."""
