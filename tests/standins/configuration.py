"""What a node needs to push to stand-ins: sections of its configuration, as a dict or as TOML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

from tests.standins.standin import Options


class Service(Protocol):
    """A stand-in in this process or in one of its own."""

    def options(self) -> Options: ...


def merged(ca: Path, *services: Service) -> Options:
    """The sections for all of these; the CA certificates of all of them go to the file `ca`."""
    sections: Options = {}
    certificates: list[str] = []
    for service in services:
        for name, values in service.options().items():
            sections.setdefault(name, {}).update(values)
            if name == "push":
                certificates.append(Path(values["ca"]).read_text())
    ca.write_text("".join(dict.fromkeys(certificates)))
    sections.setdefault("push", {})["ca"] = str(ca)
    return sections


def toml(options: Options) -> str:
    """Tables in the order given. A text of JSON is one of TOML too, if it is ASCII."""
    lines: list[str] = []
    for section, values in options.items():
        lines += [f"[{section}]", *(f"{name} = {json.dumps(value)}" for name, value in values.items()), ""]
    return "\n".join(lines)


def write_configuration(path: Path, *services: Service, **sections: dict[str, object]) -> Path:
    """A file with these sections (`node={"name": "a"}`) and those for pushing to the services."""
    path.write_text(toml({**sections, **merged(path.with_suffix(".ca.pem"), *services)}))
    return path
