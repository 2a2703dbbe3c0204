"""BenchMARL's QMIX with our weights: the algorithm, the game and the experiment.

Where they enter: `WeightedQmix` hangs torch's forward hook on the loss that BenchMARL makes, and
the hook returns the weighted loss in place of the mean. Everything else (collection, replay,
optimisers, target networks) is BenchMARL's. Its minibatches are steps [B], not episodes [B, T].
"""

import contextlib
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

with warnings.catch_warnings():
    # TorchRL 0.11 calls its own classes deprecated when it defines them
    warnings.filterwarnings(
        "ignore", ".*inherits from WeightUpdaterBase is dep", DeprecationWarning
    )
    reason = "with TorchRL 0.14, BenchMARL does not find the collector that it imports"
    pytest.importorskip("benchmarl", reason=reason, exc_type=ImportError)

from benchmarl.algorithms import QmixConfig
from benchmarl.algorithms.qmix import Qmix
from benchmarl.environments.common import TaskClass
from benchmarl.experiment import Experiment, ExperimentConfig
from benchmarl.models import MlpConfig
from tensordict import TensorDict
from torchrl.data import Categorical, Composite, Unbounded
from torchrl.envs import EnvBase
from torchrl.modules import MLP
from torchrl.objectives import distance_loss

from macpo.weighting import make, taken_probs, weighted_loss
from tests.support.paths import ROOT
from tests.support.site import script

example = script("torchrl_qmix", ROOT / "examples")
N_AGENTS, N_ACTIONS, N_STATES = example.N_AGENTS, example.N_ACTIONS, example.N_STATES


class WeightedQmix(Qmix):
    """BenchMARL's QMIX with one of our weightings."""

    def __init__(self, weighting: str, **options: Any) -> None:
        super().__init__(**options)
        self.weigh = make(weighting, **example.OPTIONS.get(weighting, {}))
        self.weights: list[Any] = []
        with torch.random.fork_rng():  # the experiment draws the same numbers with and without
            self.central = MLP(N_STATES, N_ACTIONS**N_AGENTS, num_cells=[32])

    def _get_loss(self, group: str, policy_for_loss: Any, continuous: bool) -> tuple[Any, bool]:
        loss, has_target = super()._get_loss(group, policy_for_loss, continuous)
        gamma = self.experiment_config.gamma
        self.compared = example.Compared(gamma=gamma, value_network=loss.global_value_network)
        self.compared.set_keys(value="chosen_action_value")
        loss.make_value_estimator(self.compared)
        loss.register_forward_hook(self.weighted)
        return loss, has_target

    def _get_parameters(self, group: str, loss: Any) -> dict[str, Any]:
        return {"loss": loss.parameters(), "loss_star": self.central.parameters()}

    def weighted(self, loss: Any, given: tuple[TensorDict], returned: TensorDict) -> TensorDict:
        """What the optimisers descend, by their names."""
        (batch,) = given
        action = batch["agents", "action"]
        q, target = self.compared.q[..., 0], self.compared.target[..., 0]
        joint = action[..., :1] * N_ACTIONS + action[..., 1:]
        q_star = self.central(batch["state"]).gather(-1, joint)[..., 0]
        pi, mask = taken_probs(self.compared.utilities, action), torch.ones_like(q)
        w = self.weigh(q=q, target=target, q_star=q_star, pi_taken=pi, mask=mask)
        self.weights.append(w)
        ours = weighted_loss(distance_loss(q, target, self.loss_function), w, mask)
        return TensorDict(loss=ours, loss_star=distance_loss(q_star, target, "l2").mean())


@dataclass
class WeightedQmixConfig(QmixConfig):
    weighting: str = "macpo"

    @staticmethod
    def associated_class() -> type[Qmix]:
        return WeightedQmix


class TwoStepGame(EnvBase):
    """The example's game, as TorchRL has its environments: `n` games at once."""

    def __init__(self, n: int) -> None:
        super().__init__(batch_size=[n])
        observation = {"observation": Unbounded((n, N_AGENTS, N_STATES))}
        done = {"action": Categorical(N_ACTIONS, (n, N_AGENTS))}
        self.observation_spec = Composite(
            agents=Composite(observation, shape=(n, N_AGENTS)),
            state=Unbounded((n, N_STATES)),
            shape=(n,),
        )
        self.action_spec = Composite(agents=Composite(done, shape=(n, N_AGENTS)), shape=(n,))
        self.reward_spec = Unbounded((n, 1))
        self.at = torch.zeros(n, dtype=torch.long)

    def observed(self) -> dict[str, Any]:
        state = torch.nn.functional.one_hot(self.at, N_STATES).float()
        observation = state[:, None].repeat(1, N_AGENTS, 1)
        agents = TensorDict({"observation": observation}, observation.shape[:2])
        return {"state": state, "agents": agents}

    def _reset(self, tensordict: TensorDict | None = None, **_: Any) -> TensorDict:
        over = None if tensordict is None else tensordict.get("_reset", None)
        self.at = torch.zeros_like(self.at) if over is None else self.at * ~over[:, 0]
        return TensorDict(self.observed(), self.batch_size)

    def _step(self, tensordict: TensorDict) -> TensorDict:
        first, second = tensordict["agents", "action"].unbind(-1)
        reward, over = example.REWARD[self.at, first, second][:, None], (self.at > 0)[:, None]
        self.at = 1 + first
        ends = {"done": over, "terminated": over.clone()}
        return TensorDict(self.observed() | ends | {"reward": reward}, self.batch_size)

    def _set_seed(self, seed: int | None) -> None:
        """Nothing is random here."""


class Task(TaskClass):
    """The game, as BenchMARL asks for its tasks."""

    def get_env_fun(self, num_envs: int, *_: Any, **__: Any) -> Callable[[], EnvBase]:
        return lambda: TwoStepGame(num_envs)

    def supports_continuous_actions(self) -> bool:
        return False

    def supports_discrete_actions(self) -> bool:
        return True

    def max_steps(self, env: EnvBase) -> int:
        return example.T

    def has_render(self, env: EnvBase) -> bool:
        return False

    def group_map(self, env: EnvBase) -> dict[str, list[str]]:
        return {"agents": ["first", "second"]}

    def observation_spec(self, env: EnvBase) -> Composite:
        return Composite(agents=env.observation_spec[0]["agents"])

    def state_spec(self, env: EnvBase) -> Composite:
        return Composite(state=env.observation_spec[0]["state"])

    def action_spec(self, env: EnvBase) -> Composite:
        return env.full_action_spec[0]

    def info_spec(self, env: EnvBase) -> None:
        return None

    def action_mask_spec(self, env: EnvBase) -> None:
        return None

    @staticmethod
    def env_name() -> str:
        return "two_step"


def train(folder: Path, seed: int, weighting: str | None, n_iterations: int) -> Experiment:
    """BenchMARL's experiment after ten updates per iteration, each on 64 steps of random play."""
    config = ExperimentConfig.get_from_yaml()
    config.max_n_frames, config.max_n_iters = None, n_iterations
    config.gamma, config.lr, config.clip_grad_val = 1.0, 0.01, 1e6
    config.share_policy_params = False
    config.exploration_eps_init = config.exploration_eps_end = 1.0
    config.soft_target_update, config.hard_target_update_frequency = False, 20
    config.off_policy_collected_frames_per_batch = config.off_policy_train_batch_size = 64
    config.off_policy_n_envs_per_worker, config.off_policy_n_optimizer_steps = 32, 10
    config.off_policy_memory_size = 2000
    config.evaluation = config.render = config.create_json = False
    config.loggers, config.save_folder = [], str(folder)
    options: dict[str, Any] = {"mixing_embed_dim": 32, "delay_value": True, "loss_function": "l2"}
    mlp = MlpConfig(num_cells=[32], layer_class=torch.nn.Linear, activation_class=torch.nn.Tanh)
    experiment = Experiment(
        task=Task("two_step", {}),
        algorithm_config=(
            QmixConfig(**options)
            if weighting is None
            else WeightedQmixConfig(**options, weighting=weighting)
        ),
        model_config=mlp,
        seed=seed,
        config=config,
    )
    with contextlib.redirect_stderr(io.StringIO()):  # the progress bar
        experiment.run()
    return experiment


def tensors(experiment: Experiment) -> list[Any]:
    """Parameters and target parameters of the loss."""
    state = experiment.losses["agents"].state_dict()
    return [x for x in state.values() if isinstance(x, torch.Tensor)]
