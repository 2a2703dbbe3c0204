"""The lines of docs/pymarl.md in a learner that has PyMARL's tensors by PyMARL's names."""

import re
import textwrap
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import macpo.weighting
from tests.support.later import needed
from tests.support.paths import ROOT

torch = needed("torch", "needs PyTorch: make foreign")

PAGE = (ROOT / "docs" / "pymarl.md").read_text()
MAKE, PLAIN, CENTRAL, EXTRA = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
B, T, N, A, OBS, STATE = 8, 5, 2, 3, 4, 6
NEEDED = {"q", "target", "pi_taken"}


class Learner:
    """Agents, mixers and an optimiser; an agent's network has no memory here."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.args = SimpleNamespace(gamma=0.9)
        self.agent, self.central, self.target_central = (self.network() for _ in range(3))
        self.mixer, self.central_mixer, self.target_central_mixer = (mixer() for _ in range(3))
        self.target_central_mixer.load_state_dict(self.central_mixer.state_dict())
        self.target_central.load_state_dict(self.central.state_dict())
        trained = (self.agent, self.mixer, self.central, self.central_mixer)
        self.optimiser = torch.optim.Adam([p for x in trained for p in x.parameters()], lr=0.01)

    @staticmethod
    def network() -> Any:
        return torch.nn.Sequential(
            torch.nn.Linear(OBS, 16), torch.nn.ReLU(), torch.nn.Linear(16, A)
        )

    def train(self, lines: str, batch: dict[str, Any]) -> dict[str, Any]:
        """One update with these lines in place of PyMARL's loss."""
        mac_out = self.agent(batch["obs"])
        mac_out_detach = mac_out.clone().detach()
        mac_out_detach[batch["avail_actions"] == 0] = -9999999
        central_out, target_central_out = (
            network(batch["obs"]) for network in (self.central, self.target_central)
        )
        taken = torch.gather(mac_out[:, :-1], 3, batch["actions"]).squeeze(3)
        chosen_action_qvals = self.mixer(taken, batch["state"][:, :-1])
        names = {
            **batch,
            "self": self,
            "torch": torch,
            "macpo": macpo,
            "mac_out": mac_out,
            "mac_out_detach": mac_out_detach,
            "central_out": central_out,
            "target_central_out": target_central_out,
            "chosen_action_qvals": chosen_action_qvals,
        }
        names["td_error"] = chosen_action_qvals - batch["targets"]
        exec(lines, names)
        self.optimiser.zero_grad()
        names["loss"].backward()
        self.optimiser.step()
        return names


def mixer() -> Any:
    """Any mixture [B, T, N] and state → [B, T, 1]."""

    class Mixer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.Linear(N + STATE, 1)

        def forward(self, utilities: Any, state: Any) -> Any:
            return self.layers(torch.cat([utilities, state], -1))

    return Mixer()


def batch() -> dict[str, Any]:
    """Replayed episodes of 1 to T steps; what padding holds is garbage."""
    rng = np.random.default_rng(0)
    avail = rng.random((B, T + 1, N, A)) < 0.7
    avail[..., 0] = True
    length = rng.integers(1, T + 1, B)
    mask = (np.arange(T) < length[:, None])[..., None]
    actions = np.argmax(avail[:, :-1] * rng.random((B, T, N, A)), -1)[..., None]
    rewards = np.where(mask, rng.normal(size=(B, T, 1)), 1e6)
    as_float = {
        "obs": rng.normal(size=(B, T + 1, N, OBS)),
        "state": rng.normal(size=(B, T + 1, STATE)),
        "rewards": rewards,
        "targets": rewards,
        "terminated": np.arange(T)[:, None] == length[:, None, None] - 1,
        "mask": mask,
    }
    tensors = {name: torch.tensor(x, dtype=torch.float32) for name, x in as_float.items()}
    return tensors | {"actions": torch.tensor(actions), "avail_actions": torch.tensor(avail).int()}


def made(learner: Learner, name: str) -> Learner:
    exec(MAKE.replace('"per"', f'"{name}"'), {"self": learner, "macpo": macpo})
    return learner


def names_of(text: str) -> list[str]:
    return re.findall(r"`([a-z-]+)`", text)


def test_the_page_names_every_weighting_that_needs_no_q_star() -> None:
    section = PAGE.split("## Without Q")[1].split("need nothing else")[0]
    able = {n for n in macpo.weighting.available() if {*macpo.weighting.make(n).needs} <= NEEDED}
    assert {*names_of(section)} == able


def test_the_page_says_what_the_weighting_that_draws_needs_besides() -> None:
    (words,) = re.findall(r"`(uniform_noise=.*)` as well", PAGE)
    noise = eval(f"dict({words})", {"torch": torch})
    ones, pi = torch.ones(B, T, 1), torch.ones(B, T, N)
    weigh = macpo.weighting.make("laber")
    assert weigh(q=ones, target=2 * ones, pi_taken=pi, mask=ones, **noise).shape == (B, T, 1)


@pytest.mark.parametrize("name", ["per", "macpo-no-value"])
def test_a_learner_without_q_star_learns_with_the_lines(name: str) -> None:
    learner, replayed = made(Learner(), name), batch()
    first, *_, last = (learner.train(PLAIN, replayed) for _ in range(60))
    assert last["loss"].item() < 0.5 * first["loss"].item()
    check(first, name)


@pytest.mark.parametrize("name", ["macpo", "owqmix", "cwqmix", "macpo-regret"])
def test_a_learner_with_q_star_learns_with_the_lines(name: str) -> None:
    lines = CENTRAL
    if name in ("cwqmix", "macpo-regret"):
        before, call, after = CENTRAL.partition("pi_taken = ")
        lines = before + EXTRA + call + after.replace("mask=mask\n", "mask=mask, **extra\n")
        assert "**extra" in lines
    learner, replayed = made(Learner(), name), batch()
    first, *_, last = (learner.train(lines, replayed) for _ in range(60))
    assert last["loss"].item() < 0.5 * first["loss"].item()
    check(first, name)


def check(names: dict[str, Any], name: str) -> None:
    """Weights as NumPy has them, zero on padding, of mean one where published so, no gradient."""
    weights, mask = names["weights"], names["mask"]
    assert weights.shape == mask.shape and not weights.requires_grad
    assert not weights[mask == 0].any()
    weigh = macpo.weighting.make(name)
    if weigh.normalise == "mean":
        assert float(weights.sum() / mask.sum()) == pytest.approx(1, rel=1e-5)
    signals = {"q": "chosen_action_qvals", "target": "targets"} | names.get("extra", {})
    signals |= {n: n for n in ("q_star", "pi_taken") if n in names}
    arrays = {
        signal: (names[of] if isinstance(of, str) else of).detach().numpy()
        for signal, of in signals.items()
    }
    np.testing.assert_allclose(weights, weigh(mask=mask.numpy(), **arrays), rtol=1e-4, atol=1e-6)


def test_the_lines_are_ten_or_fewer() -> None:
    statements = textwrap.dedent(MAKE + PLAIN).strip().splitlines()
    assert len(statements) <= 10
