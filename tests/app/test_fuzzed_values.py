"""Any value in the place of any key of a config is accepted or answered in one short line."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator

import pytest
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from instseg.app.check_config import checked_predict_config, checked_run_config, checked_serve_config
from instseg.app.compose import compose
from instseg.app.conf_folder import CONFIG_DIR
from instseg.app.suggestions import explain
from instseg.core.errors import MAX_LINE, InstsegError

CHECKS = {
    "train": (checked_run_config, ["run_dir=.", "dataset=yolo", "dataset.root=x", "callbacks=early_stopping"]),
    "predict": (checked_predict_config, ["checkpoint=latest", "source=a.jpg"]),
    "serve": (checked_serve_config, ["checkpoint=latest"]),
}
NUMBERS = (0, 1, -1, 0.5, 1.5, 10**400, -(10**400), 2**63, 1e308, 1e-320, float("nan"), float("inf"))
TEXTS = ("", "auto", "none", "../..", "/dev/null", "1e3", "\0", "\ud800", "é" * 50, "x" * 5000, "s3://", "box", "min")


def keys_of(node: DictConfig, prefix: str = "") -> Iterator[str]:
    for name in node:
        yield f"{prefix}{name}"
        inner = node._get_node(name)
        if OmegaConf.is_dict(inner):
            yield from keys_of(inner, f"{prefix}{name}.")


def any_value(rng: random.Random, depth: int = 0) -> object:
    makers = [
        lambda: rng.choice([None, True, False]),
        lambda: rng.choice(NUMBERS),
        lambda: rng.choice(TEXTS),
        lambda: "".join(rng.choices(string.printable, k=rng.randrange(12))),
        lambda: rng.randrange(-5, 3000),
        lambda: [any_value(rng, depth + 1) for _ in range(rng.randrange(4))],
        lambda: {rng.choice(["a", "name", "size", "1"]): any_value(rng, depth + 1) for _ in range(rng.randrange(3))},
    ]
    return rng.choice(makers[: None if depth < 3 else -2])()


@pytest.mark.parametrize("command", CHECKS)
def test_any_value_of_any_key_is_accepted_or_answered_in_a_short_line(command, tries):
    check, overrides = CHECKS[command]
    config, rng = compose(command, overrides), random.Random(0)
    keys = [key for key in keys_of(config) if not key.endswith("_target_")]
    for _ in range(tries // len(CHECKS)):
        changed, key = config.copy(), rng.choice(keys)
        OmegaConf.update(changed, key, any_value(rng), merge=False, force_add=True)
        try:
            check(changed)
        except InstsegError as refused:
            answer = str(refused)
        except OmegaConfBaseException as error:
            answer = explain(error, command, overrides, CONFIG_DIR)
        else:
            continue
        assert 0 < len(answer) <= MAX_LINE + len(" … "), key
