"""A trained policy as one Python file that acts with NumPy or PyTorch alone.

The file is a module to import: the agents' network in some forty lines, and its weights as text.
"""

import base64
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from macpo.errors import UsageError
from macpo.runs.acting import Acting, acting_of
from macpo.runs.files import write_atomically
from macpo.runs.policy import Policy
from macpo.types import PyTree

Library: TypeAlias = Literal["numpy", "torch"]

_HEAD = '''"""The policy of a run of macpo, which acts with {import_name} alone.

{title}, seed {seed}, {which} parameters.
{acting.n_agents} agents, {acting.n_actions} actions, observations of {acting.obs_size} numbers.

    policy = Policy()
    actions = policy.act(obs, avail_actions)
    policy.reset()  # where another episode begins

obs [N, O] and avail_actions [N, A] give actions [N]; a batch [B, N, O] and [B, N, A] gives [B, N].

Actions are greedy: {outputs}.
"""

import base64

{imports}

N_AGENTS, N_ACTIONS, HIDDEN_SIZE = {acting.n_agents}, {acting.n_actions}, {acting.hidden_size}
LAST_ACTION, AGENT_ID = {acting.obs_last_action}, {acting.obs_agent_id}  # whether they are inputs
CLAMP = {acting.utility_clamp}  # bounds of the outputs


def array(name):
    """An array of the agents' network: 32-bit numbers, as text."""
    shape, text = WEIGHTS[name]
    return np.frombuffer(base64.b64decode(text), "<f4").reshape(shape)
'''

_NUMPY = '''

def sigmoid(x):
    return 0.5 + 0.5 * np.tanh(0.5 * x)


class Policy:
    """Greedy actions of all agents, in one environment or in B side by side."""

    def __init__(self):
        self.w = {name: array(name) for name in WEIGHTS}
        self.reset()

    def reset(self):
        """Begin another episode."""
        self.state = None

    def act(self, obs, avail_actions=None):
        """Actions of an env step; without avail_actions all are taken to be available."""
        obs = np.asarray(obs, np.float32)
        batch = obs.reshape(-1, *obs.shape[-2:])
        shape = (len(batch), batch.shape[1], N_ACTIONS)
        avail = np.ones(shape, bool)
        if avail_actions is not None:
            avail = np.asarray(avail_actions, bool).reshape(shape)
        state = self.initial_state(*shape[:2]) if self.state is None else self.state
        self.state, actions = self.step(state, batch, avail)
        return actions.reshape(obs.shape[:-1])

    def initial_state(self, n_envs, n_agents=N_AGENTS):
        """What agents remember at the start of an episode: (recurrent state, last actions)."""
        hidden = np.zeros((n_envs, n_agents, HIDDEN_SIZE), np.float32)
        return hidden, np.full((n_envs, n_agents), -1)

    def step(self, state, obs, avail_actions):
        """(next state, actions [B, N]); pure."""
        (h, last_action), w = state, self.w
        x = [obs]
        if LAST_ACTION:
            x.append(last_action[..., None] == np.arange(N_ACTIONS))
        if AGENT_ID:
            x.append(np.broadcast_to(np.eye(N_AGENTS), (len(obs), N_AGENTS, N_AGENTS)))
        x = np.concatenate(x, -1, dtype=np.float32)
        x = np.maximum(x @ w["embed.weight"] + w["embed.bias"], 0)
        xr, xz, xn = np.split(x @ w["cell.weight_x"] + w["cell.bias_x"], 3, -1)
        hr, hz, hn = np.split(h @ w["cell.weight_h"] + w["cell.bias_h"], 3, -1)
        r, z = sigmoid(xr + hr), sigmoid(xz + hz)
        h = (1 - z) * np.tanh(xn + r * hn) + z * h
        out = (h @ w["head.weight"] + w["head.bias"])[..., :N_ACTIONS]
        if CLAMP is not None:
            out = np.clip(out, *CLAMP)
        actions = np.where(avail_actions, out, -np.inf).argmax(-1)
        return (h, actions), actions
'''

_TORCH = '''

class Policy(torch.nn.Module):
    """Greedy actions of all agents, in one environment or in B side by side.

    Its layers have the names of PyMARL's agent: fc1, rnn, fc2.
    """

    def __init__(self):
        super().__init__()
        self.fc1 = torch.nn.Linear(*array("embed.weight").shape)
        self.rnn = torch.nn.GRUCell(HIDDEN_SIZE, HIDDEN_SIZE)
        self.fc2 = torch.nn.Linear(*array("head.weight").shape)
        names = {
            "fc1.weight": "embed.weight",
            "fc1.bias": "embed.bias",
            "rnn.weight_ih": "cell.weight_x",
            "rnn.weight_hh": "cell.weight_h",
            "rnn.bias_ih": "cell.bias_x",
            "rnn.bias_hh": "cell.bias_h",
            "fc2.weight": "head.weight",
            "fc2.bias": "head.bias",
        }
        # PyTorch has matrices the other way round; the gates are in the same order
        tensors = {name: torch.from_numpy(array(own).T.copy()) for name, own in names.items()}
        self.load_state_dict(tensors)
        self.reset()

    def reset(self):
        """Begin another episode."""
        self.state = None

    @torch.no_grad()
    def act(self, obs, avail_actions=None):
        """Actions of an env step; without avail_actions all are taken to be available."""
        device = self.fc1.weight.device
        obs = torch.tensor(np.asarray(obs), dtype=torch.float32, device=device)
        batch = obs.reshape(-1, *obs.shape[-2:])
        shape = (len(batch), batch.shape[1], N_ACTIONS)
        avail = torch.ones(shape, dtype=torch.bool, device=device)
        if avail_actions is not None:
            avail = torch.tensor(np.asarray(avail_actions, bool), device=device).reshape(shape)
        state = self.initial_state(*shape[:2]) if self.state is None else self.state
        self.state, actions = self.step(state, batch, avail)
        return actions.reshape(obs.shape[:-1]).numpy(force=True)

    def initial_state(self, n_envs, n_agents=N_AGENTS):
        """What agents remember at the start of an episode: (recurrent state, last actions)."""
        device = self.fc1.weight.device
        hidden = torch.zeros(n_envs, n_agents, HIDDEN_SIZE, device=device)
        return hidden, torch.full((n_envs, n_agents), -1, device=device)

    def step(self, state, obs, avail_actions):
        """(next state, actions [B, N]) from tensors; pure."""
        h, last_action = state
        x = [obs]
        if LAST_ACTION:
            numbers = torch.arange(N_ACTIONS, device=obs.device)
            x.append((last_action[..., None] == numbers).float())
        if AGENT_ID:
            x.append(torch.eye(N_AGENTS, device=obs.device).expand(len(obs), -1, -1))
        out, h = self(torch.cat(x, -1), h)
        actions = out.masked_fill(~avail_actions, -torch.inf).argmax(-1)
        return (h, actions), actions

    def forward(self, inputs, h):
        """(outputs of all actions, next recurrent state), each [B, N, …]."""
        x = torch.relu(self.fc1(inputs)).flatten(0, -2)
        h = self.rnn(x, h.flatten(0, -2)).reshape(h.shape)
        out = self.fc2(h)[..., :N_ACTIONS]
        return (out if CLAMP is None else out.clamp(*CLAMP)), h
'''

_BODIES = {"numpy": _NUMPY, "torch": _TORCH}
_IMPORTS = {"numpy": "import numpy as np", "torch": "import numpy as np\nimport torch"}
_NAMES = {"numpy": "NumPy", "torch": "PyTorch"}


def write_policy(policy: Policy, file: Path, library: Library) -> None:
    """Write the policy as a Python module for one library, atomically.

    UsageError if its algorithm acts in a way of its own, which no template knows.
    """
    acting = acting_of(policy.trainer.algorithm)
    if acting is None:
        raise UsageError(
            f"{policy.experiment.title}: this algorithm acts in a way of its own, and only the "
            "agents of macpo's own algorithms can be written for another library; load it with "
            "macpo.load."
        )
    head = _HEAD.format(
        title=policy.experiment.title.replace("\\", "/").replace('"', "'"),  # stays in its text
        seed=policy.seed,
        which=policy.which,
        acting=acting,
        outputs=f"the largest of the {acting.outputs}, the first of equal ones",
        import_name=_NAMES[library],
        imports=_IMPORTS[library],
    )
    text = f"{head}{_BODIES[library]}\n\n{_weights(policy, acting)}"
    write_atomically(file, text.encode())


def _weights(policy: Policy, acting: Acting) -> str:
    """The arrays of the agents' network as the dictionary that the module reads."""
    net: PyTree = policy.params
    for part in acting.network.split("."):
        net = getattr(net, part)
    lines = ["WEIGHTS = {  # shape, and numbers in base64"]
    for layer in ("embed", "cell", "head"):
        for name, array in vars(getattr(net, layer)).items():
            x = np.asarray(array, "<f4")
            text = base64.b64encode(x.tobytes()).decode()
            lines.append(f'    "{layer}.{name}": ({x.shape}, "{text}"),')
    return "\n".join([*lines, "}", ""])
