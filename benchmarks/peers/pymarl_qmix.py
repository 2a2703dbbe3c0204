"""Time of PyMARL's QMIX update on the batch of `reference_torch`; called by `run.py`.

Learner, controller, mixer and replay batch are those of a checkout of PyMARL
(https://github.com/oxwhirl/pymarl), with its settings for QMIX. Agents get no number, as here.
"""

import json
import logging
import sys
from pathlib import Path
from types import SimpleNamespace

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from reference_torch import make_batch, median_seconds

SETTINGS = {
    "agent": "rnn",
    "rnn_hidden_dim": 64,
    "obs_last_action": True,
    "obs_agent_id": False,
    "agent_output_type": "q",
    "action_selector": "epsilon_greedy",
    "epsilon_start": 1.0,
    "epsilon_finish": 0.05,
    "epsilon_anneal_time": 50_000,
    "mixer": "qmix",
    "mixing_embed_dim": 32,
    "hypernet_layers": 2,
    "hypernet_embed": 64,
    "double_q": True,
    "gamma": 0.99,
    "lr": 0.0005,
    "optim_alpha": 0.99,
    "optim_eps": 0.00001,
    "grad_norm_clip": 10,
    "target_update_interval": 200,
    "learner_log_interval": 2_000,
}


class Log:
    """Takes what PyMARL's learner logs."""

    console_logger = logging.getLogger("pymarl")

    def log_stat(self, name: str, value: float, t_env: int) -> None:
        """Nothing is kept."""


def episodes(lengths):
    """(PyMARL's batch, the scheme that describes it) of the episodes of `reference_torch`."""
    from components.episode_buffer import EpisodeBatch

    ours = make_batch(len(lengths), lengths)
    taken = ours["last_actions"]
    rows = ours["obs"].shape[:2]
    n_agents, n_actions = ours["avail"].shape[2:]

    def padded(x):
        return torch.cat([x, torch.zeros(rows[0], 1)], 1)[..., None]

    by_name = {
        "state": ours["state"],
        "obs": ours["obs"],
        "actions": ours["actions"][..., None],
        "avail_actions": ours["avail"].int(),
        "actions_onehot": torch.cat([taken[:, 1:], torch.zeros_like(taken[:, :1])], 1),
        "reward": padded(ours["reward"]),
        "terminated": padded(ours["terminated"]).byte(),
        "filled": ours["filled"][..., None].long(),
    }
    data = SimpleNamespace(transition_data=by_name, episode_data={})
    scheme = {
        "obs": {"vshape": ours["obs"].shape[-1], "group": "agents"},
        "actions_onehot": {"vshape": (n_actions,), "group": "agents"},
    }
    return EpisodeBatch({}, {"agents": n_agents}, *rows, data), scheme


def learner_of(batch, scheme):
    """PyMARL's QMIX for such a batch."""
    from controllers.basic_controller import BasicMAC
    from learners.q_learner import QLearner

    n_agents, n_actions = batch["avail_actions"].shape[2:]
    sizes = {"n_agents": n_agents, "n_actions": n_actions, "state_shape": batch["state"].shape[-1]}
    settings = SimpleNamespace(**SETTINGS, **sizes)
    controller = BasicMAC(scheme, batch.groups, settings)
    return QLearner(controller, scheme, Log(), settings)


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    sys.path.insert(0, str(Path(asked["checkout"]) / "src"))
    torch.set_num_threads(asked["threads"])
    torch.manual_seed(0)
    batch, scheme = episodes(asked["lengths"])
    learner = learner_of(batch, scheme)
    print(median_seconds(lambda: learner.train(batch, t_env=0, episode_num=0), rounds=3))
