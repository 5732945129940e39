"""The tables. Import models from here."""

from makegood.models.base import Base
from makegood.models.bills import Bill, BillLine
from makegood.models.callbacks import Callback
from makegood.models.customers import Balance, Customer, Tier
from makegood.models.generations import Generation, IdempotencyKey, Refund, RefundPolicy
from makegood.models.ledger import CreditTransaction, Grant, Movement
from makegood.models.operators import (
    Alert,
    ApiKey,
    AuditEntry,
    Operator,
    OperatorSession,
    Throttle,
)
from makegood.models.outputs import Notification, OutputFile
from makegood.models.prices import CostAdjustment, CreditPrice, Price, Recompute
from makegood.models.providers import ProviderBalance, ProviderSwitch
from makegood.models.rollups import (
    Bucket,
    CustomerDay,
    CustomerMonth,
    Day,
    Event,
    LatencyBucket,
    LatencyDay,
    ReasonBucket,
    ReasonDay,
    RollupState,
    TierTotal,
)

__all__ = [
    "Alert",
    "ApiKey",
    "AuditEntry",
    "Balance",
    "Base",
    "Bill",
    "BillLine",
    "Bucket",
    "Callback",
    "CostAdjustment",
    "CreditPrice",
    "CreditTransaction",
    "Customer",
    "CustomerDay",
    "CustomerMonth",
    "Day",
    "Event",
    "Generation",
    "Grant",
    "IdempotencyKey",
    "LatencyBucket",
    "LatencyDay",
    "Movement",
    "Notification",
    "Operator",
    "OperatorSession",
    "OutputFile",
    "Price",
    "ProviderBalance",
    "ProviderSwitch",
    "ReasonBucket",
    "ReasonDay",
    "Recompute",
    "Refund",
    "RefundPolicy",
    "RollupState",
    "Throttle",
    "Tier",
    "TierTotal",
]
