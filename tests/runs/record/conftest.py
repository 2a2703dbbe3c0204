"""Rows of metrics."""

TRAIN = {
    "kind": "train",
    "seed": 0,
    "env_steps": 1600,
    "episodes": 8,
    "updates": 1,
    "return_mean": 5.0,
    "epsilon": 0.98,
    "weight_raw_mean": 0.25,
}
TEST = TRAIN | {"kind": "test", "test_return_mean": 12.5}
