"""The most expensive parts of a training, with advice on each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from instseg.core.text import plural
from instseg.profiling import profile as part
from instseg.profiling.profile import Profile

LITTLE = 0.05  # fraction of an epoch below which there is little to gain

Hint = Callable[[Profile], str]


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of one part of a training."""

    name: str
    seconds_per_epoch: float
    fraction: float  # of an epoch, 0..1
    hint: str  # how to reduce it


def costs(profile: Profile) -> list[Cost]:
    """Return the parts of an epoch, the most expensive first; an evaluation counts as one part."""
    seconds = {_plain(name): value * profile.steps_per_epoch for name, value in profile.step.items()}
    seconds["evaluation"] = profile.evaluation_seconds
    seconds[part.CHECKPOINTS] = profile.checkpoints_seconds
    ordered = sorted(seconds.items(), key=lambda item: -item[1])
    return [_cost(name, value, profile) for name, value in ordered if value > 0]


def _plain(name: str) -> str:
    if name == part.BACKWARD:
        return "backward: the gradients of the whole network"
    return f"forward: {name}" if name in part.FORWARD else name


def _cost(name: str, seconds: float, profile: Profile) -> Cost:
    fraction = seconds / profile.epoch_seconds
    hint = HINTS.get(name.removeprefix("forward: "), _loop_hint)
    return Cost(name, seconds, fraction, "little to gain here" if fraction < LITTLE else hint(profile))


def _data_hint(profile: Profile) -> str:
    workers, cores = profile.num_workers, profile.num_cores
    if workers < cores:
        better = min(cores, max(2, 2 * workers))
        return f"more loader processes: num_workers={better} (now {workers}; {plural(cores, 'core')})"
    return "all cores load already: keep smaller copies of the images, a cheaper augmentation"


def _network_hint(profile: Profile) -> str:
    faster = "trainer.precision=bf16-mixed; " if profile.on_gpu and profile.precision.startswith("32") else ""
    return f"{faster}a smaller augmentation.min_size (time grows with its square), a smaller model"


def _backward_hint(profile: Profile) -> str:
    return f"{_network_hint(profile)}; with pretrained weights a smaller model.trainable_layers"


def _small_images_hint(profile: Profile) -> str:
    return "a smaller augmentation.min_size (time grows with its square)"


def _proposals_hint(profile: Profile) -> str:
    return "a smaller model.rpn.pre_nms_top_n_train or model.rpn.post_nms_top_n_train"


def _rois_hint(profile: Profile) -> str:
    return "fewer RoIs to learn from: a smaller model.box.batch_size_per_image"


def _optimizer_hint(profile: Profile) -> str:
    return "fewer steps: a larger batch_size where memory allows, or trainer.accumulate_grad_batches=2"


def _loop_hint(profile: Profile) -> str:
    return "a larger batch_size, a larger trainer.log_every_n_steps, trainer.enable_progress_bar=false"


def _checkpoints_hint(profile: Profile) -> str:
    return "evaluate less often: trainer.check_val_every_n_epoch=5; outputs= on a faster disk"


def _evaluation_hint(profile: Profile) -> str:
    """Advise to evaluate less, and how to reduce the most expensive part."""
    seconds = {"forward": 0.0, **profile.evaluation}
    for name, value in profile.image.items():
        whole = "forward" if name in part.FORWARD else name
        seconds[whole] = seconds.get(whole, 0.0) + value * profile.images_per_evaluation
    most = max(seconds, key=lambda name: seconds[name])
    own = {
        part.DATA: _data_hint(profile),
        part.PASTE: "a smaller model.box.detections_per_image",
        part.PICTURES: "a smaller callbacks.pictures.num_images",
    }
    less = "less often: trainer.check_val_every_n_epoch=5; fewer images: trainer.limit_val_batches=0.5"
    return f"most of it: {most}; {less}" + (f"; {own[most]}" if most in own else "")


HINTS: dict[str, Hint] = {
    part.DATA: _data_hint,
    **dict.fromkeys((part.COPY, part.NORMALIZE, part.ANCHOR_MATCHING, part.RPN_LOSSES), _small_images_hint),
    **dict.fromkeys((part.BACKBONE, part.RPN_HEAD), _network_hint),
    **dict.fromkeys((part.PROPOSALS, part.SAMPLING), _proposals_hint),
    **dict.fromkeys((part.BOX_ALIGN, part.BOX_HEAD, part.MASK_ALIGN, part.MASK_HEAD, part.LOSSES), _rois_hint),
    _plain(part.BACKWARD): _backward_hint,
    part.OPTIMIZER: _optimizer_hint,
    "evaluation": _evaluation_hint,
    part.CHECKPOINTS: _checkpoints_hint,
}
