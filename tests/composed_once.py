"""Configs that are composed from the same files and options once: the hundreds composed by the tests take a quarter of
a second each. A changed, added or removed file is read again, and values are set on each config as ever."""

from __future__ import annotations

import copy
import functools
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest
from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository, IConfigRepository
from hydra._internal.defaults_list import DefaultsList
from hydra.core.default_element import ResultDefault
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, base

FileState = tuple[Path, int, int]


def compose_once(patch: pytest.MonkeyPatch) -> None:
    """Have OmegaConf parse each file, and Hydra follow and merge each choice of options, once."""
    patch.setattr(OmegaConf, "load", parsing_once(OmegaConf.load))
    patch.setattr(base, "parse", functools.cache(base.parse))  # of interpolations
    following = following_once(config_loader_impl.create_defaults_list)
    patch.setattr(config_loader_impl, "create_defaults_list", following)
    merging = merging_once(ConfigLoaderImpl._compose_config_from_defaults_list)
    patch.setattr(ConfigLoaderImpl, "_compose_config_from_defaults_list", merging)
    # Of a repository, no more than the list of its sources is replaced.
    patch.setattr(ConfigRepository, "__deepcopy__", lambda repository, _: copy.copy(repository), raising=False)


def parsing_once(parse: Callable[[IO[str] | Path | str], object]) -> Callable[[IO[str] | Path | str], object]:
    parsed: dict[FileState, bytes] = {}

    def load(file: IO[str] | Path | str) -> object:
        key = _state(Path(file if isinstance(file, str | Path) else file.name))
        if key not in parsed:
            parsed[key] = pickle.dumps(parse(file))
        return pickle.loads(parsed[key])

    return load


def following_once(follow: Callable[..., DefaultsList]) -> Callable[..., DefaultsList]:
    """``create_defaults_list`` that follows the ``defaults`` of the files once for the options that are chosen."""
    followed: dict[object, bytes] = {}

    def create_defaults_list(
        repo: IConfigRepository, config_name: str | None, overrides_list: list[Override], **how: bool
    ) -> DefaultsList:
        chosen = [override for override in overrides_list if repo.group_exists(override.key_or_group)]
        lines = tuple(override.input_line for override in chosen)
        key = config_name, lines, tuple(how.items()), _files(repo)
        if key not in followed:
            followed[key] = pickle.dumps(follow(repo, config_name, chosen, **how))
        found: DefaultsList = pickle.loads(followed[key])
        of_groups = {override.input_line for override in found.config_overrides}  # with a dictionary as their value
        found.config_overrides = [
            override
            for override in overrides_list
            if not override.is_sweep_override() and (override not in chosen or override.input_line in of_groups)
        ]
        return found

    return create_defaults_list


def merging_once(merge: Callable[..., DictConfig]) -> Callable[..., DictConfig]:
    """``_compose_config_from_defaults_list`` that merges the same files once."""
    merged: dict[object, bytes] = {}

    def compose(loader: ConfigLoaderImpl, defaults: list[ResultDefault], repo: IConfigRepository) -> DictConfig:
        order = tuple((one.config_path, one.package, one.primary) for one in defaults)
        key = order, _files(repo)
        if key not in merged:
            merged[key] = pickle.dumps(merge(loader, defaults=defaults, repo=repo))
        config: DictConfig = pickle.loads(merged[key])
        return config

    return compose


def _files(repo: IConfigRepository) -> tuple[FileState | str, ...]:
    """Return the folders that a config is composed from, in order, and the state of each file in them."""
    return tuple(state for source in repo.get_sources() for state in _of_source(source.scheme(), source.path))


def _of_source(scheme: str, path: str) -> Iterator[FileState | str]:
    yield f"{scheme}://{path}"
    if scheme == "file":
        yield from map(_state, sorted(Path(path).rglob("*.yaml")))


def _state(path: Path) -> FileState:
    state = path.stat()
    return path, state.st_mtime_ns, state.st_size
