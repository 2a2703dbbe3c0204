"""Time of TorchRL's QMIX update on the batch of `reference_torch`; called by `run.py`.

Loss, mixer, greedy actions and target networks are TorchRL's. Its loss does not know padding: it
counts the steps behind an episode's end, too. The agents' network is the library's own, with
`nn.GRU`, which takes all time steps in one call.
"""

import json
import sys
from pathlib import Path

import torch
from tensordict import TensorDict
from tensordict.nn import TensorDictModule
from torch import Tensor, nn
from torchrl.modules import QMixer, QValueModule, SafeSequential
from torchrl.objectives import HardUpdate, QMixerLoss

sys.path.insert(0, str(Path(__file__).parents[1]))

from reference_torch import make_batch, median_seconds


class Agents(nn.Module):
    """Recurrent utilities of all agents, `[B, T, N, in]` to `[B, T, N, A]`."""

    def __init__(self, n_inputs: int, n_actions: int, hidden: int = 64) -> None:
        super().__init__()
        self.embed = nn.Linear(n_inputs, hidden)
        self.rnn = nn.GRU(hidden, hidden, batch_first=True)
        self.head = nn.Linear(hidden, n_actions)

    def forward(self, inputs: Tensor) -> Tensor:
        b, t, n, _ = inputs.shape
        x = torch.relu(self.embed(inputs)).transpose(1, 2).reshape(b * n, t, -1)
        x, _ = self.rnn(x)
        return self.head(x).view(b, n, t, -1).transpose(1, 2)


def episodes(lengths: list[int]) -> TensorDict:
    """The batch of `reference_torch` as TorchRL has it, [B, T]."""
    batch = make_batch(len(lengths), lengths)
    inputs = torch.cat([batch["obs"], batch["last_actions"]], -1)
    over = batch["terminated"][..., None].bool()

    def at(steps: slice) -> dict[str, object]:
        agents = {"observation": inputs[:, steps], "action_mask": batch["avail"][:, steps]}
        return {"agents": agents, "state": batch["state"][:, steps].contiguous()}

    before, after = at(slice(-1)), at(slice(1, None))
    before["agents"]["action"] = batch["actions"][:, :-1]
    after |= {"reward": batch["reward"][..., None], "done": over, "terminated": over}
    return TensorDict(before | {"next": after}, batch["reward"].shape)


class Learner:
    """TorchRL's QMIX."""

    def __init__(self, batch: TensorDict) -> None:
        observation, mask = batch["agents", "observation"], batch["agents", "action_mask"]
        n_agents, n_actions = mask.shape[-2:]
        agents = Agents(observation.shape[-1], n_actions)
        greedy = QValueModule(
            action_space="categorical",
            action_value_key=("agents", "action_value"),
            action_mask_key=("agents", "action_mask"),
            out_keys=[("agents", k) for k in ("action", "action_value", "chosen_action_value")],
        )
        mixer = QMixer(batch["state"].shape[-1:], 32, n_agents, "cpu")
        mixed = [("agents", "chosen_action_value"), "state"]
        self.loss = QMixerLoss(
            SafeSequential(
                TensorDictModule(agents, [("agents", "observation")], [("agents", "action_value")]),
                greedy,
            ),
            TensorDictModule(mixer, mixed, ["chosen_action_value"]),
            action_space="categorical",
        )
        self.loss.make_value_estimator(gamma=0.99)
        self.target_network = HardUpdate(self.loss, value_network_update_interval=200)
        self.parameters = list(self.loss.parameters())
        self.optimiser = torch.optim.Adam(self.parameters, lr=1e-3)

    def update(self, batch: TensorDict) -> float:
        """One gradient step; the loss."""
        self.optimiser.zero_grad()
        loss = self.loss(batch)["loss"]
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 10.0)
        self.optimiser.step()
        self.target_network.step()
        return loss.item()


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    torch.set_num_threads(asked["threads"])
    torch.manual_seed(0)
    batch = episodes(asked["lengths"])
    learner = Learner(batch)
    print(median_seconds(lambda: learner.update(batch), rounds=3))
