"""The devices that models run on."""

from xai_core.errors import UsageError
from xai_core.probe import backend


def devices() -> tuple[str, ...]:
    """The devices that models can run on, as Keras names them: `cpu:0`, `gpu:0`."""
    found: tuple[str, ...] = backend().devices()
    return found


def choose_device(asked: str | None) -> str:
    """The device asked for, in full; by default the first GPU, or the CPU where there is none.

    Raises:
        UsageError: there is no such device.
    """
    known = devices()
    if asked is None:
        return next((each for each in known if not each.startswith("cpu")), "cpu:0")
    name = asked.lower().replace("cuda", "gpu")
    name = name if ":" in name else f"{name}:0"
    if name not in known:
        raise UsageError(
            f"received device {asked!r}; expected one of {', '.join(known)}, which are what the "
            "backend finds on this machine"
        )
    return name
