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
from makegood.models.purchases import Clawback, Purchase
from makegood.models.recognised import (
    RecognisedCustomerDay,
    RecognisedDay,
    RecognisedProgress,
    RecognisedState,
)
from makegood.models.revenue import BalanceSum, ExchangeRate
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
from makegood.models.stripe import (
    BalanceTransaction,
    Charge,
    CheckoutSession,
    Coupon,
    Dispute,
    Invoice,
    InvoicePayment,
    PaymentRefund,
    Payout,
    Product,
    StripeAccount,
    StripeCustomer,
    StripeEvent,
    StripePrice,
    StripeResource,
    Subscription,
)
from makegood.models.subscriptions import MrrChange, MrrSnapshot, MrrTotal, SubscriptionWorth

__all__ = [
    "Alert",
    "ApiKey",
    "Approval",
    "AuditEntry",
    "Balance",
    "BalanceSum",
    "BalanceTransaction",
    "Base",
    "Bill",
    "BillLine",
    "Bucket",
    "BulkRefund",
    "BulkRefundItem",
    "Callback",
    "Charge",
    "CheckoutSession",
    "Clawback",
    "CostAdjustment",
    "Coupon",
    "CreditAdjustment",
    "CreditPrice",
    "CreditTransaction",
    "Customer",
    "CustomerDay",
    "CustomerMonth",
    "CustomerNote",
    "Day",
    "Dispute",
    "ErrorMapping",
    "Event",
    "ExchangeRate",
    "Generation",
    "Grant",
    "IdempotencyKey",
    "Invitation",
    "Invoice",
    "InvoicePayment",
    "LatencyBucket",
    "LatencyDay",
    "LoginChallenge",
    "Movement",
    "MrrChange",
    "MrrSnapshot",
    "MrrTotal",
    "Notification",
    "Operator",
    "OperatorSession",
    "OutputFile",
    "PaymentRefund",
    "Payout",
    "Price",
    "Product",
    "ProviderBalance",
    "ProviderSwitch",
    "Purchase",
    "ReasonBucket",
    "ReasonDay",
    "RecognisedCustomerDay",
    "RecognisedDay",
    "RecognisedProgress",
    "RecognisedState",
    "Recompute",
    "RecoveryCode",
    "Refund",
    "RefundLimit",
    "RefundPolicy",
    "Reversal",
    "RollupState",
    "SavedView",
    "StripeAccount",
    "StripeCustomer",
    "StripeEvent",
    "StripePrice",
    "StripeResource",
    "Subscription",
    "SubscriptionWorth",
    "Throttle",
    "Tier",
    "TierTotal",
]
