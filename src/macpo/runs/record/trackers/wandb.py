"""Send metrics to Weights & Biases as well, or with WANDB_MODE=offline to the run's directory."""

import os
from types import ModuleType

from macpo.runs.record.trackers import PROJECT, SeedLog, TrackedSeed

PACKAGE = "wandb"


def open_seed(package: ModuleType, about: TrackedSeed) -> SeedLog:
    """A run in the project of WANDB_PROJECT, or `macpo`, and in a group with the other seeds.

    A run that goes on is continued; `wandb sync` joins the parts of one that was offline.
    """
    return package.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        group=about.group,
        name=about.name,
        id=about.key,
        resume="allow",
        config=about.settings,
        dir=about.files.path,  # where it makes a folder `wandb`
        reinit="create_new",  # beside the other seeds
        settings=package.Settings(console="off"),  # the display has the terminal
    )
