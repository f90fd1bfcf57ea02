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

Builders = Mapping[str, Callable[..., object]]
"""Name, as in ``_target_``, to what builds a network, or a part of one such as a backbone."""

MASK_RCNN = "instseg.models.mask_rcnn.build_mask_rcnn"
OWN_BUILDERS: Builders = {MASK_RCNN: build_mask_rcnn}


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


def rebuild(model_config: Options, categories: Categories, builders: Builders, source: str) -> InstanceSegmenter:
    """Build the network that a file describes, without reading weights.

    Args:
        model_config: ``_target_`` and options; an option may itself be a mapping with a ``_target_``.
        categories: names of the labels 1...
        builders: those that may be named, besides the ones of this package.
        source: where the config comes from, for messages.

    Raises:
        InstsegError: a name is not among them, or the options do not fit.
    """
    builder = find_builder(model_config, builders, source)
    options = {key: _part(value, builders, source) for key, value in options_of(model_config).items()}
    builder.check(options)
    without_weights = {LOAD: False} if builder.reads_weights else {}
    return check_segmenter(builder(categories, **options, **without_weights), builder.name)


def _part(value: object, builders: Builders, source: str) -> object:
    """Return the value of an option; a mapping that names a builder is built."""
    if not isinstance(value, Mapping):
        return value
    options = {str(key): _part(item, builders, source) for key, item in value.items() if key != TARGET}
    return _find(value, builders, source)(**options) if TARGET in value else options


def _find(node: Options, builders: Builders, source: str) -> Callable[..., object]:
    name, known = node.get(TARGET), {**builders, **OWN_BUILDERS}
    if isinstance(name, str) and name in known:
        return known[name]
    raise InstsegError(
        f"{source}: its model is built by {name}, which is not known here, and a file may not choose what is "
        "imported; name the conf folder whose model/*.yaml holds it: --config-dir=FOLDER"
    )
