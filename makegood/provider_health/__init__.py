"""How providers do: success, speed, what is in flight, their callbacks, and what is left of our balance there."""

from makegood.provider_health.setup import Setup, describe, describe_all
from makegood.provider_health.spans import NAMES, Span
from makegood.provider_health.view import (
    AllProviders,
    ModelHealth,
    OneProvider,
    ProviderHealth,
    Step,
    examine,
    survey,
)

__all__ = [
    "NAMES",
    "AllProviders",
    "ModelHealth",
    "OneProvider",
    "ProviderHealth",
    "Setup",
    "Span",
    "Step",
    "describe",
    "describe_all",
    "examine",
    "survey",
]
