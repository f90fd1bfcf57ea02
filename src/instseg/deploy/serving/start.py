"""A model on its port: the server is put together, says where it is, and works until it is told to stop."""

from __future__ import annotations

import os
import socket

from rich.console import Console

from instseg.core.channels import terminal_lines
from instseg.deploy.serving import labelstudio, rest, xanylabeling
from instseg.deploy.serving.application import application
from instseg.deploy.serving.labelstudio_images import TOKEN_VARIABLE, TaskImages
from instseg.deploy.serving.listening import serve, url_of
from instseg.deploy.serving.model import ServedModel
from instseg.deploy.serving.options import ServerOptions
from instseg.deploy.serving.server import Server
from instseg.prediction.summary import print_start


def serve_model(model: ServedModel, options: ServerOptions, listening: socket.socket, console: Console) -> None:
    """Serve a model until Ctrl-C or SIGTERM.

    Args:
        model: at work.
        options: of the server.
        listening: on its port.
        console: to say on where it is.

    Raises:
        InstsegError: a score threshold is out of range, or of no category of the model.
    """
    server = Server(model, options.batch_size, options.limits)
    token = os.environ.get(TOKEN_VARIABLE) or None
    images = TaskImages(options.labelstudio_url, options.labelstudio_files, token, options.limits)
    print_start(console, model.identity, model.predictor.network.device, model.thresholds)
    _print_addresses(console, url_of(listening), options)
    routers = [rest.routes(server), labelstudio.routes(server, images), xanylabeling.routes(server)]
    serve(application(server, options.key, routers), listening, options.limits)
    console.print("stopped", highlight=False)


def _print_addresses(console: Console, url: str, options: ServerOptions) -> None:
    key = ' -H "Authorization: Bearer $INSTSEG_API_KEY"' if options.key else ""
    source = options.labelstudio_url or options.labelstudio_files or "labelstudio.url= is not set: no images from there"
    lines = {
        "serving:": f"{url}   (all requests: {url}/docs)",
        "try:": f"curl -F image=@a.jpg{key} {url}/predict",
        "Label Studio:": f"{url}{labelstudio.PREFIX}   ({source})",
        "X-AnyLabeling:": f"{url}   (as its remote server)",
    }
    for title, said in lines.items():
        console.print(terminal_lines(f"{title:<18}{said}"), highlight=False, soft_wrap=True)
    console.print("Ctrl-C stops it", highlight=False)
