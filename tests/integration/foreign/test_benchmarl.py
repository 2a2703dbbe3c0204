"""BenchMARL's QMIX trains on our weights inside BenchMARL's own `Experiment`.

How is in `tests.support.benchmarl_qmix`.

The game is that of `examples/torchrl_qmix.py`, worth 8 at best and 7 to whoever does not find 8.
Measured once over seeds 0 to 19: 300 updates on `macpo` weights reach 8 with every seed.
"""

from pathlib import Path

import pytest

from tests.integration.foreign.test_torchrl import one_thread  # noqa: F401
from tests.support.later import needed

REASON = (
    "needs another project's trainer: pip install torchrl==0.11.1 hydra-core tqdm, then "
    "pip install --no-deps benchmarl==1.5.2 (torchvision and av are for its videos)"
)
torch = needed("torch", REASON)
needed("torchrl", REASON)
needed("benchmarl", REASON)
ours = needed("tests.support.benchmarl_qmix", REASON)

pytestmark = pytest.mark.filterwarnings(
    "ignore:SyncDataCollector has been deprecated:DeprecationWarning"
)


def test_uniform_weights_train_bit_for_bit_like_benchmarl_alone(tmp_path: Path) -> None:
    # 50 updates copy the target network twice
    alone = ours.tensors(ours.train(tmp_path, 0, None, 5))
    weighted = ours.tensors(ours.train(tmp_path, 0, "uniform", 5))
    assert len(alone) > 0
    assert all(torch.equal(x, y) for x, y in zip(weighted, alone, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_macpo_weights_teach_the_two_step_game(tmp_path: Path, seed: int) -> None:
    from torchrl.envs.utils import ExplorationType, set_exploration_type

    experiment = ours.train(tmp_path, seed, "macpo", 30)
    with set_exploration_type(ExplorationType.DETERMINISTIC):
        policy = experiment.algorithm.get_policy_for_loss("agents")
        episode = ours.TwoStepGame(1).rollout(ours.example.T, policy)
    assert episode["next", "reward"].sum().item() == 8


def test_macpo_weights_are_finite_non_negative_mean_one_and_not_uniform(tmp_path: Path) -> None:
    experiment = ours.train(tmp_path, 0, "macpo", 5)
    w = torch.stack(experiment.algorithm.weights)
    assert w.shape == (50, 64)  # ten updates in each of five iterations; steps of a minibatch
    assert not w.requires_grad
    assert torch.isfinite(w).all()
    assert (w >= 0).all()
    torch.testing.assert_close(w.mean(1), torch.ones(50))
    assert (w.amax(1) > 1.1).all()
