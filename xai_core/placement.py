"""The devices that models run on."""

from xai_core.engines import ON_CPU, Engine
from xai_core.errors import UsageError
from xai_core.probe import backend


def devices() -> tuple[str, ...]:
    """The devices that models can run on, as Keras names them: `cpu:0`, `gpu:0`."""
    found: tuple[str, ...] = backend().devices()
    return found


def choose_device(asked: str | None, engine: Engine = "auto") -> str:
    """The device asked for, in full.

    By default it is the first GPU, or the CPU where there is none or the engine is for it alone.

    Raises:
        UsageError: there is no such device, or the engine does not run on it.
    """
    known = devices()
    if asked is None:
        if engine in ON_CPU:
            return "cpu:0"
        return next((each for each in known if not each.startswith("cpu")), "cpu:0")
    name = asked.lower().replace("cuda", "gpu")
    name = name if ":" in name else f"{name}:0"
    if name not in known:
        raise UsageError(
            f"received device {asked!r}; expected one of {', '.join(known)}, which are what the "
            "backend finds on this machine"
        )
    if engine in ON_CPU and not name.startswith("cpu"):
        raise UsageError(
            f"received device {asked!r} with the engine {engine!r}, which is for CPUs; expected "
            "device 'cpu', which it has by default, or for this device another engine, such as "
            "'auto'"
        )
    return name
