"""How providers do: success, speed, what is in flight, their callbacks, and what is left of our balance there."""

from makegood.provider_health.setup import Setup, describe, describe_all
from makegood.provider_health.view import (
    AllProviders,
    ModelHealth,
    OneProvider,
    ProviderHealth,
    ProviderStep,
    examine,
    survey,
)

__all__ = [
    "AllProviders",
    "ModelHealth",
    "OneProvider",
    "ProviderHealth",
    "ProviderStep",
    "Setup",
    "describe",
    "describe_all",
    "examine",
    "survey",
]
