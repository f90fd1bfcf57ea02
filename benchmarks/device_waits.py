"""Where a program would wait for a GPU, found on a CPU: what is run is watched, not what it takes.

A CPU has no copies between host and device to watch. So every tensor is taken for one on the device, but for those that
would have been made on the host: from a list without a device, from NumPy, by ``.cpu()``, or from such tensors alone.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

WAITING = {
    "nonzero",
    "masked_select",
    "_local_scalar_dense",
    "_unique2",
    "unique_dim",
    "unique_consecutive",
    "bincount",
}
WAITING |= {"repeat_interleave", "nms", "equal"}  # the size of what they give, or their result, is read by the host
MASKED = {"index", "index_put", "index_put_", "_index_put_impl_"}
FACTORIES = {torch.tensor, torch.as_tensor, torch.arange, torch.zeros, torch.ones, torch.full, torch.empty}
FACTORIES |= {torch.rand, torch.randn, torch.randperm, torch.from_numpy}
COPYING = {torch.tensor, torch.as_tensor}  # from Python's numbers, straight to a device
PACKAGES = ("instseg", "torchvision")

Place = str
"""file:line of the innermost frame of ``PACKAGES``, with the names of the function and of the operation."""


class DeviceWaits:
    """Counts, within ``with``, each wait of the host for the device by its place."""

    def __init__(self) -> None:
        self.found: Counter[Place] = Counter()
        self._host = WeakTensorKeyDictionary()
        self._modes: tuple[_Calls, _Operations] = (_Calls(self), _Operations(self))

    def __enter__(self) -> Counter[Place]:
        for mode in self._modes:
            mode.__enter__()  # type: ignore[no-untyped-call]
        return self.found

    def __exit__(self, *error: Any) -> None:
        for mode in reversed(self._modes):
            mode.__exit__(*error)  # type: ignore[no-untyped-call]

    def on_host(self, tensor: Tensor) -> bool:
        return tensor in self._host

    def put_on_host(self, result: Any) -> None:
        for tensor in _tensors(result):
            self._host[tensor] = True

    def count(self, operation: str) -> None:
        frame, place = sys._getframe(), "the program itself"
        while frame.f_back is not None:
            frame = frame.f_back
            path = Path(frame.f_code.co_filename)
            package = next((part for part in reversed(path.parts) if part in PACKAGES), None)
            if package is not None:
                inside = "/".join(path.parts[len(path.parts) - path.parts[::-1].index(package) - 1 :])
                place = f"{inside}:{frame.f_lineno} {frame.f_code.co_name}"
                break
        self.found[f"{place}: {operation}"] += 1


class _Calls(TorchFunctionMode):
    """Copies between host and device, which only show in what Python calls."""

    def __init__(self, waits: DeviceWaits) -> None:
        self.waits = waits
        super().__init__()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func in FACTORIES:
            return self._made(func, args, kwargs, result)
        own = args[0] if args and isinstance(args[0], Tensor) else None
        if own is None:
            return result
        if func in (Tensor.cpu, Tensor.numpy, Tensor.tolist) and not self.waits.on_host(own):
            self.waits.count(f"{func.__name__} (device to host)")
            return self._host_copy(result)
        if func is Tensor.to and self.waits.on_host(own) and _names_device(args[1:], kwargs):
            self.waits.count("to (host to device)")
            return torch.ops.aten.alias(result)
        return result

    def _made(self, func: Callable[..., Any], args: Any, kwargs: dict[str, Any], result: Tensor) -> Tensor:
        from_tensor = bool(args) and isinstance(args[0], Tensor)
        if kwargs.get("device") is None and not from_tensor:
            self.waits.put_on_host(result)
        elif func in COPYING and not from_tensor:
            self.waits.count(f"{func.__name__} (host to device)")
        return result

    def _host_copy(self, result: Any) -> Any:
        if isinstance(result, Tensor):
            result = torch.ops.aten.alias(result)
            self.waits.put_on_host(result)
        return result


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Operations whose result's size or value the host has to know."""

    def __init__(self, waits: DeviceWaits) -> None:
        self.waits = waits
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        inputs = list(_tensors((args, kwargs)))
        name = func._schema.name.partition("::")[2]
        if inputs and all(self.waits.on_host(tensor) for tensor in inputs):
            self.waits.put_on_host(result)
        elif name in WAITING:
            self.waits.count(name)
        elif name in MASKED:
            self._watch_index(name, args)
        return result

    def _watch_index(self, name: str, args: Any) -> None:
        """A mask waits for the number of its places, unless one number is put there. A host's index is copied."""
        indices = [index for index in args[1] if index is not None]
        is_fill = name != "index" and args[2].numel() == 1
        for index in indices:
            if index.dtype in (torch.bool, torch.uint8) and not is_fill:
                self.waits.count(f"{name} by a mask")
            elif self.waits.on_host(index):
                self.waits.count(f"{name} (host to device)")


def _tensors(nested: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(nested) if isinstance(leaf, Tensor))


def _names_device(args: Any, kwargs: dict[str, Any]) -> bool:
    return "device" in kwargs or any(isinstance(value, torch.device | str | Tensor) for value in args)
