"""Networks by the name of their builder: the ones of this package, and the ones that a caller adds.

A file may name a builder and never import one: the name is looked up here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from instseg.core.categories import Categories
from instseg.core.errors import InstsegError
from instseg.core.segmenter import InstanceSegmenter, check_segmenter
from instseg.models.builder import LOAD, TARGET, ModelBuilder, Options, builder_of, options_of
from instseg.models.mask_rcnn import build_mask_rcnn
from instseg.models.mask_rcnn_options import BUILDER
from instseg.models.timm_backbone import TimmBackbone
from instseg.models.torchvision_backbone import TorchvisionBackbone

Builders = Mapping[str, Callable[..., object]]
"""Name, as in ``_target_``, to what builds a network, or a part of one such as a backbone."""

MAX_DEPTH = 20
"""Of lists and mappings within each other, in the options of a model."""
OWN_BUILDERS: Builders = {
    BUILDER: build_mask_rcnn,
    "instseg.models.torchvision_backbone.TorchvisionBackbone": TorchvisionBackbone,
    "instseg.models.timm_backbone.TimmBackbone": TimmBackbone,
}


def find_builder(model_config: Options, builders: Builders, source: str) -> ModelBuilder[..., object]:
    """Return the builder that the config of a model names.

    Args:
        model_config: ``_target_`` and options.
        builders: those that may be named, besides the ones of this package.
        source: where the config comes from, for messages.

    Raises:
        InstsegError: the name is not among them.
    """
    return builder_of(_find(model_config, builders, source))


def build_network(
    model_config: Options, categories: Categories, builders: Builders, source: str, *, load: bool
) -> InstanceSegmenter:
    """Build the network that a config describes.

    Args:
        model_config: ``_target_`` and options; an option may itself be a mapping with a ``_target_``.
        categories: names of the labels 1...
        builders: those that may be named, besides the ones of this package.
        source: where the config comes from, for messages.
        load: False reads no weights: those of a checkpoint follow.

    Raises:
        InstsegError: a name is not among them, or the options do not fit.
    """
    builder = find_builder(model_config, builders, source)
    options = built_options(model_config, builders, source, load=load)
    builder.check(options, load)
    return check_segmenter(builder(categories, **options, **_loading(builder, load)), builder.name)


def built_options(model_config: Options, builders: Builders, source: str, *, load: bool) -> dict[str, object]:
    """Return the options in the config of a model; each that is a mapping with a ``_target_``, as a backbone is, built.

    Args:
        model_config: as for ``build_network``.
        builders: those that may be named, besides the ones of this package.
        source: where the config comes from, for messages.
        load: whether these parts read weights.

    Raises:
        InstsegError: a name is not among them, or the options of a part do not fit it.
    """
    options = options_of(model_config)
    return {key: _part(value, f"model.{key}", builders, source, load) for key, value in options.items()}


def _part(value: object, key: str, builders: Builders, source: str, load: bool, depth: int = 0) -> object:
    """Return an option's value, built where it is a mapping that names a builder."""
    if depth > MAX_DEPTH:
        raise InstsegError(f"{source}: {key[:80]}…: expected at most {MAX_DEPTH} lists and mappings within each other")
    if isinstance(value, list):
        return [_part(item, f"{key}.{index}", builders, source, load, depth + 1) for index, item in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    options = {
        str(k): _part(item, f"{key}.{k}", builders, source, load, depth + 1) for k, item in value.items() if k != TARGET
    }
    if TARGET not in value:
        return options
    builder = builder_of(_find(value, builders, source))
    builder.check(options, load, key)
    return builder(**options, **_loading(builder, load))


def _loading(builder: ModelBuilder[..., object], load: bool) -> dict[str, object]:
    return {LOAD: False} if builder.reads_weights and not load else {}


def _find(node: Options, builders: Builders, source: str) -> Callable[..., object]:
    name, known = node.get(TARGET), {**builders, **OWN_BUILDERS}
    if isinstance(name, str) and name in known:
        return known[name]
    raise InstsegError(
        f"{source}: its model is built by {name}, which is not known here, and a file may not choose what is "
        "imported; name the conf folder whose model/*.yaml holds it: --config-dir=FOLDER"
    )
