"""What every command imports and composes, once: in the process that the commands of the tests are forked from."""

import gc

import imported  # noqa: F401
import pytest
from composed_once import compose_once
from few_draws import draw_few
from hydra.core.plugins import Plugins

from instseg.app.compose import compose

Plugins.instance()
compose_once(pytest.MonkeyPatch())
draw_few(pytest.MonkeyPatch())
for name in ("train", "predict"):
    compose(name, [])
gc.freeze()
