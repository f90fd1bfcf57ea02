"""Networks are built from their config alone: the same for a typed one and for that in a checkpoint."""

from __future__ import annotations

import pytest
from torch import Tensor, nn

from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.models.known import build_network, built_options
from instseg.models.mask_rcnn_options import BUILDER

NAMES = Categories(("cup",))


class Pretrained(nn.Module):
    """A backbone that would read weights, made of parts that stand in a list of its config."""

    channels, strides = (3, 3, 3, 3), (4, 8, 16, 32)

    def __init__(self, pools: list[nn.Module], load: bool = True) -> None:
        super().__init__()
        self.pools, self.is_loaded = nn.ModuleList(pools), load

    def forward(self, images: Tensor) -> list[Tensor]:
        return [pool(images) for pool in self.pools]


BUILDERS = {"mine.Pretrained": Pretrained, "mine.Pool": nn.AvgPool2d}
BACKBONE = {
    "_target_": "mine.Pretrained",
    "pools": [{"_target_": "mine.Pool", "kernel_size": stride} for stride in (4, 8, 16, 32)],
}


@pytest.mark.parametrize("load", [True, False])
def test_a_backbone_reads_no_weights_where_those_of_a_checkpoint_follow(load):
    network = build_network({"_target_": BUILDER, "backbone": BACKBONE}, NAMES, BUILDERS, "file", load=load)
    assert network.backbone.body.is_loaded is load


def test_a_network_is_rebuilt_where_the_weights_that_its_training_began_with_are_gone():
    config = {"_target_": BUILDER, "backbone": "resnet18_half", "norm": "bn", "weights": "/gone/best.ckpt"}
    assert build_network(config, NAMES, {}, "file", load=False).categories == NAMES
    with pytest.raises(InstsegError, match="no such file"):
        build_network(config, NAMES, {}, "file", load=True)


@pytest.mark.parametrize(
    ("backbone", "message"),
    [({"_target_": "os.system"}, "file: its model is built by os.system, which is not known here"),
     (BACKBONE | {"pools": [{"_target_": "os.system"}]}, "file: its model is built by os.system"),
     (BACKBONE | {"polls": 1}, "model.backbone.polls is no option; did you mean model.backbone.pools"),
     (BACKBONE | {"_partial_": True}, "model.backbone._partial_ is no option"),
     (BACKBONE | {"pools": [{"_target_": "mine.Pool", "size": 4}]}, "model.backbone.pools.0.size is no option")],
)  # fmt: skip
def test_a_part_is_built_only_by_a_known_name_and_with_options_that_it_has(backbone, message):
    with pytest.raises(InstsegError, match=message):
        built_options({"_target_": BUILDER, "backbone": backbone}, BUILDERS, "file", load=False)


def test_options_nested_deeper_than_any_model_needs_are_refused():
    deep: list[object] = []
    circle: dict[str, object] = {}
    circle["again"] = circle
    for _ in range(3000):
        deep = [deep]
    for options in ({"backbone": deep}, {"backbone": circle}, {"box": {"a": [deep]}}):
        with pytest.raises(InstsegError, match=r"a\.ckpt: model\..*: expected at most 20 lists and mappings"):
            built_options({"_target_": BUILDER, **options}, {}, "a.ckpt", load=False)
