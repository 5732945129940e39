"""The tables. Import models from here."""

from makegood.models.approvals import Approval, RefundLimit
from makegood.models.base import Base
from makegood.models.bills import Bill, BillLine
from makegood.models.bulk_refunds import BulkRefund, BulkRefundItem, Reversal
from makegood.models.callbacks import Callback
from makegood.models.customers import Balance, Customer, Tier
from makegood.models.desk import CreditAdjustment, CustomerNote, SavedView
from makegood.models.generations import Generation, IdempotencyKey, Refund
from makegood.models.ledger import CreditTransaction, Grant, Movement
from makegood.models.operators import (
    Alert,
    ApiKey,
    AuditEntry,
    Invitation,
    LoginChallenge,
    Operator,
    OperatorSession,
    RecoveryCode,
    Throttle,
)
from makegood.models.outputs import Notification, OutputFile
from makegood.models.policies import ErrorMapping, RefundPolicy
from makegood.models.prices import CostAdjustment, CreditPrice, Price, Recompute
from makegood.models.providers import ProviderBalance, ProviderSwitch
from makegood.models.rollups import (
    Bucket,
    CustomerDay,
    CustomerMonth,
    Day,
    Event,
    Hour,
    LatencyBucket,
    LatencyDay,
    LatencyHour,
    LatencyTotal,
    ReasonBucket,
    ReasonDay,
    RollupState,
    TierTotal,
)

__all__ = [
    "Alert",
    "ApiKey",
    "Approval",
    "AuditEntry",
    "Balance",
    "Base",
    "Bill",
    "BillLine",
    "Bucket",
    "BulkRefund",
    "BulkRefundItem",
    "Callback",
    "CostAdjustment",
    "CreditAdjustment",
    "CreditPrice",
    "CreditTransaction",
    "Customer",
    "CustomerDay",
    "CustomerMonth",
    "CustomerNote",
    "Day",
    "ErrorMapping",
    "Event",
    "Generation",
    "Grant",
    "Hour",
    "IdempotencyKey",
    "Invitation",
    "LatencyBucket",
    "LatencyDay",
    "LatencyHour",
    "LatencyTotal",
    "LoginChallenge",
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
    "RecoveryCode",
    "Refund",
    "RefundLimit",
    "RefundPolicy",
    "Reversal",
    "RollupState",
    "SavedView",
    "Throttle",
    "Tier",
    "TierTotal",
]
