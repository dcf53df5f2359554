"""--set FIELD=VALUE: fields of a detector's config on the command line."""

import json
from typing import Any

from vedette.errors import InputError


def read_settings(pairs: list[str]) -> dict[str, Any]:
    """FIELD=VALUE, the value as JSON where it is JSON; raises InputError for what is written otherwise."""
    settings = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if name == "num_classes":
            raise InputError(f"--set {pair}: the number of classes is that of the data")
        if not equals:
            raise InputError(f"--set {pair}: write FIELD=VALUE, such as tcb=false")
        try:
            settings[name] = json.loads(value.lower() if value in ("True", "False") else value)
        except json.JSONDecodeError:
            settings[name] = value
    return settings
