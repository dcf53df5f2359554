"""vedette serve: detectors as a web service, with a page to try them on."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vedette.cli.backends import Backend, Fp32, precision_of, settled
from vedette.cli.choices import Bf16, Device, Trust
from vedette.cli.complete import complete_model
from vedette.cli.looking import thresholds_line
from vedette.data.findings import shown
from vedette.errors import InputError

if TYPE_CHECKING:
    from vedette.infer.detector import Detector

PACKAGES = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")
MOST_PORT, MOST_WORKERS, MOST_SECONDS, MOST_QUEUE, MOST_MEGABYTES, MOST_MEGAPIXELS = 65535, 512, 3600, 4096, 1024, 170

Models = Annotated[
    list[str],
    typer.Argument(
        help="Names from `vedette models` or weight files; NAME=FILE gives a file a name for requests, else its stem.",
        autocompletion=complete_model,
    ),
]
Host = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0: all of the machine's.")]
Port = Annotated[int, typer.Option(min=0, max=MOST_PORT, help="0: any that is free.")]
Workers = Annotated[int, typer.Option(min=1, max=MOST_WORKERS, help="Processes, each with all models and limits.")]
Batch = Annotated[int, typer.Option(min=1, max=MOST_QUEUE, help="Most pictures that the network looks at together.")]
Queue = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=MOST_QUEUE,
        help="Pictures taken in and not answered yet; more get 429. Default: a batch and a quarter.",
    ),
]
Wait = Annotated[float, typer.Option(min=0.0, max=1000.0, help="Milliseconds that a batch waits for more pictures.")]
Timeout = Annotated[
    float, typer.Option(min=0.1, max=MOST_SECONDS, help="Seconds a request; later ones get 408 or 503.")
]
Body = Annotated[int, typer.Option(min=1, max=MOST_MEGABYTES, help="MiB of a request; larger ones get 413.")]
Pixels = Annotated[
    float, typer.Option(min=0.001, max=MOST_MEGAPIXELS, help="Million pixels of a picture; larger ones get 413.")
]
KeyFile = Annotated[
    Path | None,
    typer.Option(help="A file with the key that requests must bring as X-API-Key; or VEDETTE_API_KEY is set to it."),
]


def serve(
    models: Models,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    workers: Workers = 1,
    batch_size: Batch = 4,
    queue: Queue = None,
    wait: Wait = 2.0,
    timeout: Timeout = 30.0,
    max_body: Body = 20,
    max_pixels: Pixels = 50.0,
    api_key_file: KeyFile = None,
    device: Device = None,
    bf16: Bf16 = False,
    backend: Backend = None,
    fp32: Fp32 = False,
    trust: Trust = False,
) -> None:
    """Serve detectors over HTTP: POST /detect with a picture, or open the page in a browser.

    It answers KServe's v2 protocol (Open Inference Protocol) too, and Prometheus at /metrics. Ctrl-C or SIGTERM: what
    was taken in is answered first.

    Example: vedette serve refinedet320-lite0 --port 8000
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise InputError(f'serving needs {missing[0].replace("_", "-")}: pip install "vedette[serve]"')
    sources = _named(models)
    from vedette.serve.limits import Limits  # late: torch takes seconds
    from vedette.serve.run import Plan, bind, read_key
    from vedette.serve.run import serve as run

    read_key(api_key_file)
    limits = Limits(
        batch_size,
        queue or batch_size + (batch_size + 3) // 4,
        wait / 1000,
        timeout,
        max_body << 20,
        round(max_pixels * 1e6),
    )
    precision_of(backend, bf16, fp32)
    choices = {name: settled(backend, bf16, fp32, source, device, trust) for name, source in sources.items() if backend}
    with bind(host, port) as listening:
        address = _address(*listening.getsockname()[:2])
        plan = Plan(sources, limits, device, bf16, trust, workers, choices)
        run(plan, listening, lambda detectors: _tell(detectors, address))


def _tell(detectors: dict[str, Detector], address: str) -> None:
    """Where to ask, and from which scores on each model's detections are told."""
    typer.echo(f"{', '.join(detectors)}: http://{address}/ (Ctrl-C stops)")
    for name, detector in detectors.items():
        if detector.thresholds is not None:
            typer.echo(f"note: {shown(name)}: {thresholds_line(detector)}; ?score= gives one for all", err=True)


def _named(models: list[str]) -> dict[str, str]:
    """Name → weight file. Raises InputError for two of one name, and for what is no model."""
    from vedette.zoo import weight_file

    sources: dict[str, str] = {}
    for model in models:
        name, given, source = model.partition("=")
        if not given or Path(model).exists():
            name, source = Path(model).stem, model
        if not name or "/" in name:
            raise InputError(f"{model}: give NAME=FILE, the name without a slash")
        if name in sources:
            raise InputError(f"{name}: two models of this name; write NAME=FILE for one of them")
        sources[name] = str(weight_file(source))
    return sources


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
