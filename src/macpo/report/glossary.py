"""Every metric in a few words: the glossary of reports; docs/metrics.md tells it at length."""

from collections.abc import Mapping
from typing import NamedTuple


class Metric(NamedTuple):
    """A metric of metrics.jsonl, or several that one line explains."""

    names: str
    """With a comma between several; NAME stands for what an environment calls an outcome."""
    meaning: str
    unit: str = ""


GLOSSARY: Mapping[str, tuple[Metric, ...]] = {
    "Every row": (
        Metric("kind", "train (after an iteration) or test (an evaluation)"),
        Metric("seed", "which of the run's seeds"),
        Metric("env_steps", "played so far by this seed, in training", "env steps"),
        Metric("episodes", "played so far by this seed, in training", "episodes"),
        Metric("updates", "made so far by this seed", "gradient steps"),
    ),
    "Evaluations (test rows)": (
        Metric("test_return_mean", "undiscounted return, mean over the episodes", "reward"),
        Metric(
            "test_return_std", "standard deviation over the episodes (not over seeds)", "reward"
        ),
        Metric("test_ep_length_mean", "length", "env steps"),
        Metric(
            "test_NAME_mean",
            "outcome NAME that the environment reports (see below), mean over the episodes",
        ),
        Metric(
            "test_rewards_nonfinite",
            "NaN or infinite, and read as 0 (--nonfinite-rewards zero)",
            "rewards",
        ),
        Metric(
            "test_episodes_lost",
            "lost and replayed in this evaluation; only with worker processes",
            "episodes",
        ),
        Metric(
            "test_episodes",
            "played for the absolute metric; only in absolute.jsonl",
            "episodes",
        ),
    ),
    "Training (train rows)": (
        Metric(
            "return_mean, ep_length_mean",
            "of this iteration's exploring episodes",
            "reward, env steps",
        ),
        Metric("epsilon", "exploration in them"),
        Metric("NAME_mean", "outcome NAME of the same episodes"),
        Metric(
            "rewards_nonfinite",
            "NaN or infinite, and read as 0 (--nonfinite-rewards zero)",
            "rewards",
        ),
        Metric(
            "episodes_lost",
            "lost and replayed in this iteration; only with worker processes",
            "episodes",
        ),
    ),
    "Losses and gradients": (
        Metric("loss", "what the optimiser minimises"),
        Metric("loss_td", "Σ w δ² / number of valid steps"),
        Metric("loss_central", "the same, unweighted, of the central critic Q* (if there is one)"),
        Metric(
            "loss_opt",
            "qtran: squared difference of Σ q_i + V from Q_jt at the greedy joint action",
        ),
        Metric("loss_nopt", "qtran: the same at stored joint actions, where the sum is below"),
        Metric(
            "loss_error",
            "loss of the auxiliary networks that estimate accumulated errors, where a weighting "
            "needs them",
        ),
        Metric(
            "loss_ratio",
            "loss of the auxiliary network that estimates density ratios, where a weighting needs "
            "it",
        ),
        Metric("grad_norm", "global norm of the gradient over all networks, before clipping"),
        Metric("valid_steps", "transitions in the batch"),
    ),
    "Values": (
        Metric(
            "td_error_abs", "mean absolute δ (iql: over agents too; qtran: of the joint network)"
        ),
        Metric(
            "q_taken_mean, target_mean", "mean of Q_tot at the stored actions, and of its targets y"
        ),
        Metric("q_star_gap", "mean absolute Q_tot − Q*"),
        Metric(
            "pi_taken_mean", "mean probability that the policies give to an agent's stored action"
        ),
    ),
    "Actor-critics": (
        Metric("loss_policy", "the policies' loss"),
        Metric(
            "loss_critic", "the critic's loss: mean squared TD error, except for the three below"
        ),
        Metric("entropy", "entropy of the agents' policies in nats"),
        Metric("advantage_abs", "mean absolute advantage (COMA, DOP)"),
        Metric("value_mean", "mean value (VDAC: V_tot; MAPPO)"),
        Metric("clip_fraction", "share of probability ratios outside the clip (MAPPO)"),
        Metric("temperature", "α of the soft values (FOP)"),
    ),
    "Weights": (
        Metric(
            "weight_raw_mean", "mean weight before normalisation; for MAC-PO the Z* of the paper"
        ),
        Metric(
            "weight_mean, weight_max",
            "of the weights as used; with --replay.priority weights as the loss would have them",
        ),
        Metric(
            "weight_ess_fraction",
            "effective sample size (Σw)²/Σw² as a share of the valid steps: 1 is uniform",
        ),
        Metric("weight_share_small", "share of steps with a weight below 0.001"),
        Metric(
            "weight_fallback",
            "1 if all raw weights were zero, so that uniform ones were used instead",
        ),
        Metric(
            "weight_n_nonfinite",
            "valid steps whose raw weight is infinite or NaN; look into anything but 0",
        ),
        Metric(
            "weight_temperature", "running mean τ of the learned error (discor-net, remern-net)"
        ),
        Metric("weight_scale", "running mean by which --weighting.normalise ema divides"),
        Metric("f_mean, f_std", "the joint action probability term f of Eq. (7), between 1 and 2"),
        Metric(
            "priority_mean", "mean priority of the stored episodes (--replay.sampling prioritized)"
        ),
        Metric(
            "importance_min",
            "smallest importance weight of the batch (--replay.sampling prioritized)",
        ),
    ),
    "Recorded replay (--record-weights)": (
        Metric(
            "episode, step",
            "row of the batch, from longest to shortest episode, and env step in it",
        ),
        Metric("part", "the agent or critic whose weight it is; 0 where the team has one"),
        Metric("q, target", "Q_tot of the stored action, and y", "reward"),
        Metric("td_error_abs", "absolute δ", "reward"),
        Metric("q_star", "Q* of the stored action, where there is a central critic", "reward"),
        Metric("reward", "of the team in this step", "reward"),
        Metric(
            "log_factors",
            "log of each factor of the weight, which the weighting names; −10000 stands for the "
            "log of 0",
        ),
        Metric("log_raw", "log of the raw weight, their product"),
        Metric("importance", "correction for how the episode was drawn; 1 for uniform sampling"),
        Metric(
            "weight",
            "the weight in the loss: capped, normalised over the batch, times the importance",
        ),
    ),
}
"""By what they are about, in the order of docs/metrics.md."""
