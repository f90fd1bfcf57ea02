"""The builder of a network: what ``model._target_`` names, and what is known of its options before it is called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import update_wrapper
from typing import Generic, ParamSpec, TypeVar

from instseg.core.errors import InstsegError
from instseg.core.segmenter import Devices, NetworkLimits
from instseg.models.option_keys import check_keys

Parameters = ParamSpec("Parameters")
Network = TypeVar("Network")
Options = Mapping[str, object]
"""Option, as in the config of a model, to a plain value or to a mapping of options."""

TARGET, CATEGORIES, LOAD = "_target_", "categories", "load"
NO_OPTIONS = (TARGET, "suggested")
"""What stands beside the options in a config: the name of the builder, and defaults of other groups."""


class ModelBuilder(Generic[Parameters, Network]):
    """A callable that builds a network, and what it says about its options.

    Every callable that takes ``categories`` first and its options as keywords builds a network; ``builder_of`` makes
    it one of these. One that has a parameter ``load`` reads no weights where this is False.

    Args:
        build: the callable.
        prediction_options: dotted keys of the options that may change after training.
        resolved: keys of the options that ``resolved_options`` of the network may decide.
        check: called before any work with the options, and whether weights will be read; raises InstsegError for
            options that cannot be.
        check_weights: reads the weights that the options name, after their download if needed; called before the
            data are prepared; raises InstsegError for weights that cannot be used.
        limits: returns what the options say about which instances can be learnt.
        check_devices: raises InstsegError for options that do not go with the devices; called before any work.
    """

    def __init__(
        self,
        build: Callable[Parameters, Network],
        prediction_options: Sequence[str] = (),
        resolved: Sequence[str] = (),
        check: Callable[[Options, bool], None] | None = None,
        check_weights: Callable[[Options], None] | None = None,
        limits: Callable[[Options], NetworkLimits] | None = None,
        check_devices: Callable[[Options, Devices], None] | None = None,
    ) -> None:
        self.prediction_options, self.resolved = tuple(prediction_options), tuple(resolved)
        self._build, self._check, self._limits, self._check_devices = build, check, limits, check_devices
        self._check_weights = check_weights
        self._parameters = inspect.signature(build).parameters
        update_wrapper(self, build)

    def __call__(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Network:
        """Build the network."""
        return self._build(*args, **kwargs)

    @property
    def name(self) -> str:
        """Name for messages."""
        return str(getattr(self._build, "__qualname__", self._build))

    @property
    def reads_weights(self) -> bool:
        """True if ``load=False`` keeps it from reading weights."""
        return LOAD in self._parameters

    @property
    def options(self) -> tuple[str, ...]:
        """Names of its options."""
        return tuple(name for name in self._parameters if name not in (CATEGORIES, LOAD))

    def check(self, options: Options, load: bool = True, key: str = "model") -> None:
        """Raise InstsegError for whatever can be known to be wrong before the network is built.

        Args:
            options: all but ``categories`` and ``load``; what is absent has its default.
            load: whether the weights that the options name will be read.
            key: of the options in the config, for messages.
        """
        if not any(parameter.kind == parameter.VAR_KEYWORD for parameter in self._parameters.values()):
            check_keys(options, self.options, key)
        if self._check is not None:
            self._check(options, load)

    def check_weights(self, options: Options) -> None:
        """Raise InstsegError for weights that cannot be read, before the data are prepared.

        Args:
            options: all but ``categories`` and ``load``; what is absent has its default.
        """
        if self._check_weights is not None:
            self._check_weights(options)

    def check_devices(self, options: Options, devices: Devices) -> None:
        """Raise InstsegError where the network cannot be trained on these devices.

        Args:
            options: all but ``categories`` and ``load``; what is absent has its default.
            devices: of the training.
        """
        if self._check_devices is not None:
            self._check_devices(options, devices)

    def limits(self, options: Options) -> NetworkLimits:
        """Return what the options say about which instances can be learnt; nothing for a network that has no limits."""
        return NetworkLimits() if self._limits is None else self._limits(options)


def model_builder(
    prediction_options: Sequence[str] = (),
    resolved: Sequence[str] = (),
    check: Callable[[Options, bool], None] | None = None,
    check_weights: Callable[[Options], None] | None = None,
    limits: Callable[[Options], NetworkLimits] | None = None,
    check_devices: Callable[[Options, Devices], None] | None = None,
) -> Callable[[Callable[Parameters, Network]], ModelBuilder[Parameters, Network]]:
    """Return a decorator that makes a function a ``ModelBuilder``.

    Args:
        prediction_options: dotted keys of the options that may change after training.
        resolved: keys of the options that ``resolved_options`` of the network may decide.
        check: raises InstsegError for options that cannot be; called before any work.
        check_weights: raises InstsegError for weights that cannot be read; called before the data are prepared.
        limits: returns what the options say about which instances can be learnt.
        check_devices: raises InstsegError for options that the chosen devices cannot run; called before any work.
    """
    return lambda build: ModelBuilder(build, prediction_options, resolved, check, check_weights, limits, check_devices)


def builder_of(build: Callable[..., object]) -> ModelBuilder[..., object]:
    """Return a callable as a ``ModelBuilder``; its attribute ``prediction_options``, if it has one, is used."""
    return build if isinstance(build, ModelBuilder) else ModelBuilder(build, getattr(build, "prediction_options", ()))


def options_of(model_config: Options) -> dict[str, object]:
    """Return the options in the config of a model."""
    return {key: value for key, value in model_config.items() if key not in NO_OPTIONS}


def with_overrides(options: Options, overrides: Options, changeable: Sequence[str]) -> dict[str, object]:
    """Return the options of a trained network with those overrides that only matter in prediction.

    Args:
        options: as it was trained.
        overrides: dotted key, such as ``box.score_threshold``, to value.
        changeable: the keys that may change; any other override has to agree with ``options``.

    Raises:
        InstsegError: an override names no option, or one that cannot change after training.
    """
    changed = dict(options)
    for key, value in overrides.items():
        _override(changed, key, value, changeable)
    return changed


def _override(options: dict[str, object], key: str, value: object, changeable: Sequence[str]) -> None:
    """Set the option ``key`` to ``value`` in copies of the groups that hold it."""
    *groups, leaf = key.split(".")
    place = "model"
    for group in groups:
        check_keys([group], list(options), place)
        place, inner = f"{place}.{group}", options[group]
        if not isinstance(inner, Mapping):
            raise InstsegError(f"{place} is a value, {inner!r}, and has no option {leaf}")
        options[group] = copied = dict(inner)
        options = copied
    if key not in changeable:
        check_keys([leaf], list(options), place)
        _check_same(key, value, options[leaf], changeable)
    options[leaf] = value


def _check_same(key: str, value: object, trained: object, changeable: Sequence[str]) -> None:
    if value != trained:
        raise InstsegError(
            f"model.{key}={value}: the checkpoint was trained with {trained}, and this cannot change after training; "
            f"leave it out. What can change: {', '.join(f'model.{name}' for name in changeable) or 'nothing'}"
        )
