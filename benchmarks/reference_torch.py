"""A straightforward PyTorch learner: the honest contender of the update benchmark.

Networks, batch and losses are the library's own.
The agents run one time step after another through `nn.GRUCell`, targets are made without gradients,
mixers see all steps in one call, and padding is cut at the longest episode, then masked.

    python benchmarks/reference_torch.py --weighting macpo --rounds 5 --mean-length 50
"""

import argparse
import copy
import itertools
import json
import os
import statistics
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPISODE_LIMIT = 200
WEIGHTINGS = ("macpo", "uniform")


class Agent(nn.Module):
    """Recurrent utilities of one agent, `[T+1, B*N, in]` to `[T+1, B*N, A]`, from a zero state."""

    def __init__(self, input_size, n_actions, hidden=64, clamp=None):
        super().__init__()
        self.fc1 = nn.Linear(input_size, hidden)
        self.rnn = nn.GRUCell(hidden, hidden)
        self.fc2 = nn.Linear(hidden, n_actions)
        self.clamp = clamp

    def forward(self, inputs: Tensor) -> Tensor:
        h = inputs.new_zeros(inputs.shape[1], self.rnn.hidden_size)
        utilities = []
        for x in inputs.unbind(0):
            h = self.rnn(F.relu(self.fc1(x)), h)
            utilities.append(self.fc2(h))
        q = torch.stack(utilities)
        return q if self.clamp is None else q.clamp(*self.clamp)


class MonotonicMixer(nn.Module):
    """QMIX: utilities `[R, N]` and states `[R, S]` to `[R]`, never decreasing in a utility."""

    def __init__(self, n_agents, state_size, embed=32, hypernet=64):
        super().__init__()
        self.hyper_w_1 = mlp(state_size, hypernet, n_agents * embed)
        self.hyper_w_final = mlp(state_size, hypernet, embed)
        self.hyper_b_1 = nn.Linear(state_size, embed)
        self.V = mlp(state_size, embed, 1)

    def forward(self, q: Tensor, state: Tensor) -> Tensor:
        w1 = self.hyper_w_1(state).abs().view(len(q), q.shape[-1], -1)
        hidden = F.elu(torch.bmm(q.unsqueeze(1), w1).squeeze(1) + self.hyper_b_1(state))
        return (hidden * self.hyper_w_final(state).abs()).sum(-1) + self.V(state).squeeze(-1)


class CentralMixer(nn.Module):
    """Unrestricted Q*: three hidden layers on state and utilities, plus a value of the state."""

    def __init__(self, n_agents, state_size, width=256):
        super().__init__()
        self.net = mlp(state_size + n_agents, width, width, width, 1)
        self.V = mlp(state_size, width, 1)

    def forward(self, q: Tensor, state: Tensor) -> Tensor:
        return (self.net(torch.cat([state, q], -1)) + self.V(state)).squeeze(-1)


def mlp(*sizes: int) -> nn.Sequential:
    """Linear layers of these sizes with ReLU between them."""
    layers = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def lambda_return(reward, terminated, mask, v_next, gamma, lam) -> Tensor:
    """Peng's return `[B, T]` of bootstrap values `v_next[:, t] = v_{t+1}`, zero behind an end."""
    g = v_next[:, -1] * (1 - terminated.sum(1))
    step = mask * (reward + (1 - lam) * gamma * v_next * (1 - terminated))
    returns = []
    for t in reversed(range(reward.shape[1])):
        g = lam * gamma * g + step[:, t]
        returns.append(g)
    return torch.stack(returns[::-1], 1)


def joint_probability(pi: Tensor) -> Tensor:
    """One plus the chance that exactly one agent would have left the logged joint action."""
    itself = torch.eye(pi.shape[-1], dtype=torch.bool, device=pi.device)
    others = pi.unsqueeze(-2).masked_fill(itself, 1.0).prod(-1)
    return 1 + ((1 - pi) * others).sum(-1)


class Learner:
    """QMIX ("uniform") or QMIX with MAC-PO weights and a central network ("macpo")."""

    def __init__(
        self,
        weighting="macpo",
        *,
        n_agents=8,
        obs_size=75,
        state_size=300,
        n_actions=6,
        hidden=64,
        embed=32,
        hypernet=64,
        central_width=256,
        gamma=0.99,
        lam=0.6,
        lr=1e-3,
        max_grad_norm=10.0,
        clamp=None,  # authors' code: (-5, 2), on the utilities but not on the central agent
        include_unavailable=False,  # authors' code: True, softmax over all actions
        mean_one=True,  # authors' code: False, raw weights
    ):
        if weighting not in WEIGHTINGS:
            raise ValueError(f"weighting {weighting!r} is unknown; use one of {WEIGHTINGS}")
        self.weighting, self.mean_one = weighting, mean_one
        self.gamma, self.lam, self.max_grad_norm = gamma, lam, max_grad_norm
        self.include_unavailable = include_unavailable
        agent = Agent(obs_size + n_actions, n_actions, hidden, clamp)
        mixer = MonotonicMixer(n_agents, state_size, embed, hypernet)
        self.nets = nn.ModuleDict({"agent": agent, "mixer": mixer})
        if weighting == "macpo":  # its targets come from the central network alone
            central_agent = Agent(obs_size + n_actions, n_actions, hidden)
            central_mixer = CentralMixer(n_agents, state_size, central_width)
            self.nets.update({"central_agent": central_agent, "central_mixer": central_mixer})
            agent, mixer = central_agent, central_mixer
        # Copied once: a benchmark does not need the sync, which costs next to nothing.
        self.target_agent, self.target_mixer = copy.deepcopy(agent), copy.deepcopy(mixer)
        self.optimiser = torch.optim.Adam(self.nets.parameters(), lr=lr)

    def to(self, device):
        """This learner, its networks on another device."""
        for net in (self.nets, self.target_agent, self.target_mixer):
            net.to(device)
        return self

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss to differentiate, and what it is made of."""
        avail, reward, terminated = batch["avail"], batch["reward"], batch["terminated"]
        batch_size, steps = reward.shape
        actions = batch["actions"][:, :steps].unsqueeze(-1)
        mask = batch["filled"][:, :steps].clone()
        mask[:, 1:] *= 1 - terminated[:, :-1]
        state = batch["state"][:, :-1].flatten(0, 1)
        next_state = batch["state"][:, 1:].flatten(0, 1)
        inputs = (batch["obs"].transpose(0, 1), batch["last_actions"].transpose(0, 1))
        inputs = torch.cat(inputs, -1).flatten(1, 2)  # time first: each step is one block of rows

        def utilities(agent):
            return agent(inputs).unflatten(1, (batch_size, -1)).transpose(0, 1)

        def mix(mixer, chosen, state):
            return mixer(chosen.flatten(0, 1), state).view(batch_size, steps)

        q = utilities(self.nets["agent"])
        q_tot = mix(self.nets["mixer"], q[:, :-1].gather(-1, actions).squeeze(-1), state)
        with torch.no_grad():
            greedy = q.masked_fill(avail == 0, -torch.inf).argmax(-1, keepdim=True)
            v = utilities(self.target_agent).gather(-1, greedy).squeeze(-1)[:, 1:]
            v = mix(self.target_mixer, v, next_state)
            target = lambda_return(reward, terminated, mask, v, self.gamma, self.lam)

        def masked_mean(x):
            return (mask * x).sum() / mask.sum()

        out = {"q_tot": q_tot, "target": target}
        if self.weighting == "uniform":
            loss = out["qmix_loss"] = 0.5 * masked_mean((q_tot - target) ** 2)
            return loss, out

        q_central = utilities(self.nets["central_agent"])[:, :-1].gather(-1, actions).squeeze(-1)
        q_star = mix(self.nets["central_mixer"], q_central, state)
        with torch.no_grad():
            logits = q[:, :-1]
            if not self.include_unavailable:
                logits = logits.masked_fill(avail[:, :-1] == 0, -1e9)  # finite: padding has none
            pi = logits.softmax(-1).gather(-1, actions).squeeze(-1)
            f = joint_probability(pi)
            weight = (q_tot - target).abs() * torch.exp(-(q_tot - q_star).abs()) * f
            if self.mean_one:
                weight = weight / masked_mean(weight).clamp(min=1e-12)
        qmix_loss = masked_mean(weight * (q_tot - target) ** 2)
        central_loss = 0.5 * masked_mean((q_star - target) ** 2)
        out |= {"q_star": q_star, "pi_taken": pi, "f": f, "weight": weight}
        out |= {"qmix_loss": qmix_loss, "central_loss": central_loss}
        return qmix_loss + central_loss, out

    def update(self, batch: dict[str, Tensor]) -> dict[str, float]:
        """One gradient step."""
        self.optimiser.zero_grad()
        loss, out = self.loss(batch)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.nets.parameters(), self.max_grad_norm)
        self.optimiser.step()
        scalars = {"loss": loss, "grad_norm": norm, "qmix_loss": out["qmix_loss"]}
        if "central_loss" in out:
            scalars["central_loss"] = out["central_loss"]
        return {name: value.item() for name, value in scalars.items()}


def draw_lengths(batch_size=128, mean_length=None, seed=0) -> np.ndarray:
    """Episode lengths: all at the limit, or exponential around a mean and clipped to the limit."""
    if mean_length is None:
        return np.full(batch_size, EPISODE_LIMIT)
    lengths = np.random.default_rng(seed).exponential(mean_length, batch_size)
    return lengths.round().clip(1, EPISODE_LIMIT).astype(int)


def make_batch(
    batch_size=128, lengths=None, n_agents=8, obs_size=75, state_size=300, n_actions=6, seed=0
) -> dict[str, Tensor]:
    """Random episodes cut to the longest; those below the limit terminate, and zeros follow."""
    lengths = draw_lengths(batch_size) if lengths is None else np.asarray(lengths)
    if lengths.shape != (batch_size,) or lengths.min() < 1:
        raise ValueError(f"lengths must be {batch_size} numbers >= 1, got shape {lengths.shape}")
    rng = np.random.default_rng(seed)
    steps = int(lengths.max())
    rows = (batch_size, steps + 1)
    filled = np.arange(steps + 1) <= lengths[:, None]
    terminated = np.arange(steps) == np.where(lengths < EPISODE_LIMIT, lengths - 1, steps)[:, None]
    live = filled[..., None, None]
    avail = (rng.random((*rows, n_agents, n_actions), np.float32) < 0.8) & live
    avail[..., -2] = filled[..., None]  # one action can always be taken
    actions = (avail * rng.random(avail.shape, np.float32)).argmax(-1)
    actions_one_hot = np.eye(n_actions, dtype=np.float32)[actions] * live
    last_actions = np.zeros_like(actions_one_hot)
    last_actions[:, 1:] = actions_one_hot[:, :-1] * live[:, 1:]
    reward = rng.normal(size=(batch_size, steps)) * (np.arange(steps) < lengths[:, None])
    arrays = {
        "obs": (rng.random((*rows, n_agents, obs_size), np.float32) < 0.1) & live,
        "state": (rng.random((*rows, state_size), np.float32) < 0.1) & filled[..., None],
        "last_actions": last_actions,
        "reward": reward,
        "terminated": terminated,
        "filled": filled,
    }
    batch = {k: torch.from_numpy(np.asarray(v, np.float32)) for k, v in arrays.items()}
    return batch | {"avail": torch.from_numpy(avail), "actions": torch.from_numpy(actions)}


def available_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def time_updates(weighting, lengths, rounds, threads=None) -> float:
    """Median seconds of one update after one warm-up: on a GPU if torch sees one, else on all cores
    unless told otherwise."""
    torch.set_num_threads(threads or available_cores())
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    learner = Learner(weighting).to(device)
    batch = {name: x.to(device) for name, x in make_batch(len(lengths), lengths).items()}
    return median_seconds(lambda: learner.update(batch), rounds)


def median_seconds(update, rounds) -> float:
    """Median seconds of an update, after one to warm up."""
    update()
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        update()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def weights_by_hand(q, target, q_star, pi, mask, joint_probability) -> Tensor:
    """MAC-PO's weights of mean one, as somebody would write them into their learner."""
    weight = (q - target).abs() * torch.exp(-(q - q_star).abs()) * joint_probability(pi) * mask
    return weight * (mask.sum() / weight.sum())


def f_cumulative(pi: Tensor) -> Tensor:
    """Leave-one-out products from products of all before and all after."""
    one = torch.ones_like(pi[..., :1])
    before = torch.cat([one, pi[..., :-1]], -1).cumprod(-1)
    after = torch.cat([pi[..., 1:], one], -1).flip(-1).cumprod(-1).flip(-1)
    return 1 + ((1 - pi) * before * after).sum(-1)


def f_loop(pi: Tensor) -> Tensor:
    """The chances of nobody and of exactly one leaving, agent by agent."""
    nobody, one = torch.ones_like(pi[..., 0]), torch.zeros_like(pi[..., 0])
    for stays in pi.unbind(-1):
        one = one * stays + nobody * (1 - stays)
        nobody = nobody * stays
    return 1 + one


def f_division(pi: Tensor) -> Tensor:
    """The product of all over each in turn."""
    everyone = pi.prod(-1)
    others = sum(everyone / pi[..., i] for i in range(pi.shape[-1]))
    return 1 + others - pi.shape[-1] * everyone


def time_weights(n_agents, rounds, batch_size=128, steps=200) -> dict[str, float]:
    """Median seconds of macpo's weights on torch, and of the formula by hand; in alternation."""
    from macpo import weighting

    torch.set_num_threads(available_cores())
    torch.manual_seed(0)
    q, target, q_star = torch.randn(3, batch_size, steps).unbind()
    pi = torch.rand(batch_size, steps, n_agents) * 0.99 + 0.01
    mask = torch.ones(batch_size, steps)
    weigh = weighting.make("macpo")
    by_hand = {"cumulative": f_cumulative, "loop": f_loop, "division": f_division}
    contenders = {"ours": lambda: weigh(q=q, target=target, q_star=q_star, pi_taken=pi, mask=mask)}
    for name, f in by_hand.items():
        contenders[name] = lambda f=f: weights_by_hand(q, target, q_star, pi, mask, f)
    seconds = {name: [] for name in contenders}
    for _ in range(1 + 20 * rounds):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values[1:]) for name, values in seconds.items()}


def parity(path) -> dict[str, float]:
    """Largest error of each quantity, gradient and parameter after one step of a recorded update.

    An error is relative to the largest recorded magnitude in the same tensor.
    """
    with np.load(path) as file:
        golden = {name: torch.from_numpy(np.asarray(file[name])) for name in file.files}

    def width(name):
        return len(golden[f"param/{name}.bias"])

    n_agents, obs_size = golden["in/obs"].shape[2:]
    learner = Learner(
        "macpo", n_agents=n_agents, obs_size=obs_size, state_size=golden["in/state"].shape[-1],
        n_actions=golden["in/avail_actions"].shape[-1], hidden=width("agent/fc1"),
        embed=width("mixer/hyper_b_1"), hypernet=width("mixer/hyper_w_1.0"),
        central_width=width("central_mixer/V.0"), max_grad_norm=float("inf"),
        clamp=(-5, 2), include_unavailable=True, mean_one=False,
    )  # fmt: skip

    def load(net, prefix):
        net.load_state_dict(
            {k.removeprefix(prefix): x for k, x in golden.items() if k.startswith(prefix)}
        )

    for name, net in learner.nets.items():
        load(net, f"param/{name}/")
    load(learner.target_agent, "param/target_central_agent/")
    load(learner.target_mixer, "param/target_central_mixer/")
    batch = {name.removeprefix("in/"): x for name, x in golden.items() if name.startswith("in/")}
    batch |= {"avail": batch["avail_actions"], "last_actions": batch["last_actions_onehot"]}

    ours = {f"out/{k}": v.detach() for k, v in learner.loss(batch)[1].items()}
    scalars = learner.update(batch)
    ours |= {f"out/{k}": torch.tensor(scalars[k]) for k in ("loss", "grad_norm")}
    for name, net in learner.nets.items():
        ours |= {f"grad/{name}/{k}": p.grad for k, p in net.named_parameters()}
        ours |= {f"param_after/{name}/{k}": p.detach() for k, p in net.named_parameters()}

    def error(name):
        theirs = golden[name].reshape(ours[name].shape)
        return ((ours[name] - theirs).abs().max() / theirs.abs().max()).item()

    return {name: error(name) for name in golden if name.split("/")[0] not in ("in", "param")}


def main() -> None:
    """Print one measurement, or the errors against a recorded update, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weighting", choices=WEIGHTINGS, default="macpo")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mean-length", type=float, help="default: every episode at the limit")
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--parity", metavar="NPZ", help="compare with a recorded update instead")
    args = parser.parse_args()
    if args.parity:
        print(json.dumps(parity(args.parity), indent=1))
        return
    lengths = draw_lengths(mean_length=args.mean_length)
    seconds = time_updates(args.weighting, lengths, args.rounds, args.threads)
    print(json.dumps({
        "learner": "torch", "version": torch.__version__, "threads": args.threads,
        "weighting": args.weighting, "batch_size": len(lengths), "steps": int(lengths.max()),
        "mean_length": float(lengths.mean()), "rounds": args.rounds, "seconds_per_update": seconds,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
