"""Names of the formats of exported models. Loads nothing, so that a wrong name is refused at once."""

from typing import Literal

FormatName = Literal["onnx", "openvino", "torch_export"]
