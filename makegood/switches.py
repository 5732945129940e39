"""Switches: providers and models that an operator has turned off for new generations.

What is under way goes on: its callbacks count, it is looked up, settled and refunded as ever. `reserve_generation`
reads the switches in the transaction that would charge, so a generation is charged and submitted, or refused.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import delete, select, union
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from makegood import audit
from makegood.errors import Conflict, Invalid, NotFound
from makegood.models import CreditPrice, Day, Price, ProviderSwitch

ALL_MODELS = "*"
MAX_REASON = 500
MAX_MODEL = 200


def listed(session: Session, provider: str | None = None) -> list[ProviderSwitch]:
    """What is switched off, by provider and model; the switch for all models (`ALL_MODELS`) stands first."""
    query = select(ProviderSwitch).order_by(
        ProviderSwitch.provider, ProviderSwitch.model != ALL_MODELS, ProviderSwitch.model
    )
    return list(session.scalars(query if provider is None else query.where(ProviderSwitch.provider == provider)))


def switch_off(
    session: Session,
    providers: Collection[str],
    provider: str,
    model: str,
    *,
    reason: str,
    actor: str,
    address: str | None = None,
) -> ProviderSwitch:
    """Take no new generations for a provider's model, or for all of them (`ALL_MODELS`).

    Raises NotFound (provider), Invalid (model, reason) and Conflict (it is off already; the first reason stands).
    """
    if provider not in providers:
        raise NotFound("There is no such provider.")
    model, reason = model.strip(), reason.strip()
    fields = _problems(model, reason)
    if fields:
        raise Invalid("Nothing was switched off.", fields=fields)
    row = insert(ProviderSwitch).values(provider=provider, model=model, reason=reason, actor=actor)
    made: ProviderSwitch | None = session.scalar(row.on_conflict_do_nothing().returning(ProviderSwitch))
    if made is None:
        raise Conflict(f"{described(provider, model)} is switched off already. Its reason stays as it was.")
    audit.record(
        session,
        actor=actor,
        action="provider.switched_off",
        subject=f"provider:{provider}",
        details={"model": model, "before": "on", "after": "off", "reason": reason},
        address=address,
    )
    return made


def switch_on(
    session: Session, provider: str, model: str, *, actor: str, address: str | None = None
) -> ProviderSwitch | None:
    """Take new generations again. Returns the switch that was there; None if nothing was off (any more)."""
    gone: ProviderSwitch | None = session.execute(
        delete(ProviderSwitch)
        .where(ProviderSwitch.provider == provider, ProviderSwitch.model == model)
        .returning(ProviderSwitch)
    ).scalar_one_or_none()
    if gone is None:
        return None
    audit.record(
        session,
        actor=actor,
        action="provider.switched_on",
        subject=f"provider:{provider}",
        details={
            "model": model,
            "before": "off",
            "after": "on",
            "was_off_for": gone.reason,
            "switched_off_by": gone.actor,
        },
        address=address,
    )
    return gone


def models(session: Session, provider: str) -> list[str]:
    """The models of a provider that have a price or were used, by name: what can be switched off one by one."""
    known = union(
        select(Price.model).where(Price.provider == provider, Price.model != ALL_MODELS),
        select(CreditPrice.model).where(CreditPrice.provider == provider),
        select(Day.model).where(Day.provider == provider),
    )
    return sorted(session.scalars(known))


def described(provider: str, model: str) -> str:
    """What a switch is about, in words."""
    return provider if model == ALL_MODELS else f"{model} at {provider}"


def _problems(model: str, reason: str) -> dict[str, str]:
    problems = {}
    if not 1 <= len(model) <= MAX_MODEL or "\0" in model:
        problems["model"] = f"choose one, or write its name ({MAX_MODEL} characters at most)"
    if not reason or "\0" in reason:
        problems["reason"] = "say why, for your colleagues and the audit log"
    elif len(reason) > MAX_REASON:
        problems["reason"] = f"use {MAX_REASON} characters at most"
    return problems
