"""Somebody else's learner: QMIX as TorchRL publishes it, weighted by this library in two lines.

    pip install macpo torch==2.13.0 torchrl==0.11.1 tensordict==0.11.0   # or 0.14.1 and 0.14.3
    python examples/torchrl_qmix.py --weighting macpo

The learner is TorchRL's `QMixerLoss`, untouched. It returns the mean of its squared errors, which
is what `--weighting unweighted` trains on. Its documented hook, a value estimator of one's own,
shows the two values that it compares at every step. `weigh = …` and `w = weigh(…)` below make and
call the weighting, and the weighted mean of the same errors takes the place of the plain one.
"""

import argparse

import torch
from tensordict import TensorDict
from tensordict.nn import TensorDictModule
from torch import Tensor, nn
from torchrl.modules import MLP, MultiAgentMLP, QMixer, QValueModule, SafeSequential
from torchrl.objectives import HardUpdate, QMixerLoss, distance_loss
from torchrl.objectives.value import TD0Estimator

from macpo import weighting

# QMIX's two-step game: agent 0 chooses the second state. In state 1 every joint action is worth 7,
# in state 2 both must say 1 to get 8. A sum of utilities settles for 7.   Source: QMIX, section 5
REWARD = torch.tensor(  # [state, action of agent 0, action of agent 1]
    [[[0.0, 0.0], [0.0, 0.0]], [[7.0, 7.0], [7.0, 7.0]], [[0.0, 1.0], [1.0, 8.0]]]
)
N_AGENTS, N_ACTIONS, N_STATES, T = 2, 2, 3, 2

# exp(−|Q_tot − Q*| / temperature) at the size of these returns: all of 20 seeds find 8. At the
# paper's temperature of 1, 13 of them do, and 17 after 1,000 updates.
OPTIONS = {"macpo": {"value_temperature": 8.0}}


def play(choose, n_episodes: int) -> TensorDict:
    """Whole episodes [B, T]; `choose` maps observations [B, N, S] to actions [B, N]."""

    def observed(state: Tensor) -> dict:
        state = nn.functional.one_hot(state, N_STATES).float()  # and every agent observes it
        return {"state": state, "agents": {"observation": state[:, None].expand(-1, N_AGENTS, -1)}}

    steps, state = [], torch.zeros(n_episodes, dtype=torch.long)
    for t in range(T):
        before = observed(state)
        before["agents"]["action"] = action = choose(before["agents"]["observation"])
        reward = REWARD[state, action[:, 0], action[:, 1]][:, None]
        over = torch.full((n_episodes, 1), t == T - 1)
        state = 1 + action[:, 0]
        after = observed(state) | {"reward": reward, "done": over, "terminated": over}
        valid = torch.ones(n_episodes, dtype=torch.bool)  # no episode ends early: no padding
        steps.append(TensorDict(before | {"next": after, "mask": valid}, [n_episodes]))
    return torch.stack(steps, 1)


class Compared(TD0Estimator):
    """TorchRL's one-step target; keeps what `QMixerLoss` compares with it."""

    def value_estimate(self, tensordict: TensorDict, **kwargs) -> Tensor:
        self.utilities = tensordict["agents", "action_value"]  # [B, T, N, A]
        self.q = tensordict["chosen_action_value"]  # [B, T, 1]
        self.target = super().value_estimate(tensordict, **kwargs)  # [B, T, 1]
        return self.target


class Learner:
    """TorchRL's QMIX, and the unrestricted central Q* that the weights compare it with."""

    def __init__(self, name: str) -> None:
        agents = MultiAgentMLP(
            N_STATES, N_ACTIONS, N_AGENTS, centralized=False, share_params=False, num_cells=[32]
        )
        greedy = QValueModule(
            action_space="categorical",
            action_value_key=("agents", "action_value"),
            out_keys=[("agents", k) for k in ("action", "action_value", "chosen_action_value")],
        )
        mixer = QMixer((N_STATES,), mixing_embed_dim=32, n_agents=N_AGENTS, device="cpu")
        self.qmix = QMixerLoss(
            SafeSequential(
                TensorDictModule(agents, [("agents", "observation")], [("agents", "action_value")]),
                greedy,
            ),
            TensorDictModule(
                mixer, [("agents", "chosen_action_value"), "state"], ["chosen_action_value"]
            ),
            action_space="categorical",
        )
        self.qmix.make_value_estimator(gamma=1.0)
        self.target_network = HardUpdate(self.qmix, value_network_update_interval=20)
        self.central = MLP(N_STATES, N_ACTIONS**N_AGENTS, num_cells=[32])
        self.weigh = self.weights = None
        if name != "unweighted":
            self.weigh = weighting.make(name, **OPTIONS.get(name, {}))  # <- line one
            self.compared = Compared(gamma=1.0, value_network=self.qmix.global_value_network)
            self.compared.set_keys(value="chosen_action_value")
            self.qmix.make_value_estimator(self.compared)

    def losses(self, batch: TensorDict) -> tuple[Tensor, Tensor]:
        """QMIX's loss, weighted or not, and that of Q* on the same target."""
        unweighted = self.qmix(batch)["loss"]
        if self.weigh is None:
            return unweighted, torch.zeros(())
        q, target = self.compared.q[..., 0], self.compared.target[..., 0]
        mask, action = batch["mask"], batch["agents", "action"]
        pi = weighting.taken_probs(self.compared.utilities, action)
        joint = action[..., :1] * N_ACTIONS + action[..., 1:]
        q_star = self.central(batch["state"]).gather(-1, joint)[..., 0]

        w = self.weigh(q=q, target=target, q_star=q_star, pi_taken=pi, mask=mask)  # <- line two

        self.weights = w
        loss = weighting.weighted_loss(distance_loss(q, target, "l2"), w, mask)
        return loss, weighting.weighted_loss((q_star - target) ** 2, mask, mask)

    @torch.no_grad()
    def act(self, observation: Tensor) -> Tensor:
        """Greedy actions [B, N]."""
        obs = TensorDict({"agents": {"observation": observation}}, observation.shape[:1])
        with self.qmix.local_value_network_params.to_module(self.qmix.local_value_network):
            return self.qmix.local_value_network(obs)["agents", "action"]


def train(name: str, seed: int = 0, n_updates: int = 300, say=print):
    """(learner, loss of every update, weights of every update), from uniformly random play."""
    torch.manual_seed(seed)
    learner = Learner(name)
    dice = torch.Generator().manual_seed(seed)  # the same replay, whatever the weighting
    replay = play(lambda obs: torch.randint(N_ACTIONS, obs.shape[:2], generator=dice), 512)
    parameters = [*learner.qmix.parameters(), *learner.central.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=0.01)
    losses, weights = [], []
    for update in range(1, n_updates + 1):
        loss, loss_star = learner.losses(replay[torch.randint(512, (32,), generator=dice)])
        optimiser.zero_grad()
        (loss + loss_star).backward()
        optimiser.step()
        learner.target_network.step()
        losses.append(loss.item())
        weights.append(learner.weights)
        if update % 50 == 0:
            reward = play(learner.act, 1)["next", "reward"]
            w = "" if learner.weights is None else f", largest weight {learner.weights.max():.1f}"
            say(f"update {update}: greedy return {reward.sum():.0f} of 8, loss {losses[-1]:.1e}{w}")
    return learner, losses, weights


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weighting", default="macpo", help="unweighted, uniform, per, …")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    torch.set_num_threads(1)  # networks this small are slower on more
    train(flags.weighting, flags.seed)
