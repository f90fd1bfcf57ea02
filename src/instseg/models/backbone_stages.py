"""The stages of a network of another library: which of its modules end them, and to which each parameter belongs.

Both come from a run of the network on one small image.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from instseg.core.errors import InstsegError
from instseg.models.feature_backbone import PROBE_SIZE, try_small_image
from instseg.models.names import STRIDES

STEM = 0
"""Stage of the first convolution and its norm, before those of ``STRIDES``, which are 1 to 4."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The last feature map of one stride."""

    module: str  # name of the module that computes it
    stride: int  # px
    channels: int
    channels_last: bool  # (B, H, W, C) as Swin has it, not (B, C, H, W)


class Probe:
    """One run of a network on a small image, in evaluation mode and without gradients; its mode stays as it is.

    Args:
        network: of a library.
        what: the option that chose it, for messages.

    Raises:
        InstsegError: it cannot take such an image.
    """

    def __init__(self, network: nn.Module, what: str) -> None:
        self._network, self._what = network, what
        self._names = {module: name for name, module in network.named_modules()}
        self._begun: dict[str, int] = {}
        self._ended: dict[str, int] = {}
        self._maps: dict[str, Stage] = {}
        hooks = [module.register_forward_pre_hook(self._begin) for module in self._names]
        hooks += [module.register_forward_hook(self._end) for module in self._names]
        try:
            self.output = run_once(network, what)
        finally:
            for hook in hooks:
                hook.remove()

    def _begin(self, module: nn.Module, inputs: object) -> None:
        self._begun.setdefault(self._names[module], len(self._begun) + len(self._ended))

    def _end(self, module: nn.Module, inputs: object, output: object) -> None:
        name = self._names[module]
        self._ended[name] = len(self._begun) + len(self._ended)
        stage = map_of(name, output)
        if stage is not None:
            self._maps[name] = stage

    def stages(self) -> list[Stage]:
        """Return the modules that end the stages of strides 4, 8, 16 and 32.

        They are siblings: a stage is not ended by a part of a block. The last one of each stride is taken, which
        includes the last convolution of a classifier such as MobileNet's, as in torchvision's own detectors.

        Raises:
            InstsegError: the network has other strides.
        """
        siblings: dict[str, dict[int, Stage]] = {}
        for name in self._names.values():
            if name in self._maps:
                siblings.setdefault(name.rpartition(".")[0], {})[self._maps[name].stride] = self._maps[name]
        whole = [stages for stages in siblings.values() if stages.keys() >= set(STRIDES)]
        if not whole:
            check_strides({stage.stride for stage in self._maps.values()}, self._what)
        return [whole[0][stride] for stride in STRIDES]

    def stage_of_parameters(self, ends: Sequence[str]) -> dict[str, int]:
        """Return parameter -> its stage, ``STEM`` or 1 to 4: what begins before the end of a stage belongs to it.

        Args:
            ends: names of the modules that end the stages.
        """
        times, last = [self._ended[name] for name in ends], len(STRIDES)
        owners = {name: name.rpartition(".")[0] for name, _ in self._network.named_parameters()}
        begun = {owner: self._begun.get(owner, times[-1]) for owner in owners.values()}
        stem = self._stem(sorted(begun, key=lambda owner: begun[owner]))
        return {
            name: STEM if owner in stem else min(1 + bisect_left(times, begun[owner]), last)
            for name, owner in owners.items()
        }

    def _stem(self, owners: Sequence[str]) -> Sequence[str]:
        """Return the first module with weights, and the norm behind it."""
        second = self._network.get_submodule(owners[1])
        return owners[: 2 if next(second.parameters(recurse=False)).ndim == 1 else 1]


def check_strides(found: Iterable[int], what: str) -> None:
    """Raise InstsegError unless strides are 4, 8, 16, 32 and perhaps others.

    Args:
        found: strides of the maps of a network, px.
        what: the option that chose it, for messages.
    """
    if not set(STRIDES) <= set(found):
        raise InstsegError(f"{what}: expected a network with maps of strides {list(STRIDES)}, found {sorted(found)}")


def map_of(name: str, output: object) -> Stage | None:
    """Return the feature map that an output for the small image is, if it is one.

    Args:
        name: of the module.
        output: of the module.
    """
    if not isinstance(output, Tensor) or output.ndim != 4:
        return None
    height, width = PROBE_SIZE
    for stride in (1, 2, *STRIDES):
        size = (height // stride, width // stride)
        if output.shape[2:] == size:
            return Stage(name, stride, output.shape[1], channels_last=False)
        if output.shape[1:3] == size:
            return Stage(name, stride, output.shape[3], channels_last=True)
    return None


def run_once(network: nn.Module, what: str) -> object:
    """Return the output for one small image, as ``try_small_image`` does.

    Args:
        network: of a library.
        what: the option that chose it, for messages.

    Raises:
        InstsegError: it cannot take such an image.
    """
    try:
        return try_small_image(network)
    except (RuntimeError, AssertionError, ValueError) as error:
        height, width = PROBE_SIZE
        raise InstsegError(
            f"{what}: expected a network for images of any size, found one that cannot take {height} x {width} px: "
            f"{str(error).splitlines()[0]}"
        ) from error
