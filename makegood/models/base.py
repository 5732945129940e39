"""The declarative base, and the column types that every table shares."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, LargeBinary, MetaData, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PGUUID
from sqlalchemy.orm import DeclarativeBase, mapped_column
from sqlalchemy.types import UserDefinedType

from makegood.ids import uuid7

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class XID8(UserDefinedType[str]):
    """PostgreSQL's 64-bit transaction id: it never wraps around."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The type's name in DDL."""
        return "xid8"


class Base(DeclarativeBase):
    """Every table's base."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 (SQLAlchemy reads it as it is)
        str: Text,
        int: BigInteger,
        bytes: LargeBinary,
        datetime: DateTime(timezone=True),
        UUID: PGUUID(as_uuid=True),
        dict[str, Any]: JSONB(none_as_null=True),
        list[Any]: JSONB(none_as_null=True),
    }


UUIDKey = Annotated[UUID, mapped_column(primary_key=True, default=uuid7)]
"""Our own identifier: a UUIDv7 made in Python."""

Written = Annotated[datetime, mapped_column(server_default=text("clock_timestamp()"))]
"""When the row was written, as opposed to when the thing happened."""

Count = Annotated[int, mapped_column(server_default=text("0"))]
"""A counter or an amount that starts at zero."""


def foreign_text(column: str) -> str:
    """The CHECK that bounds an identifier from outside: 1 to 200 characters."""
    return f"char_length({column}) BETWEEN 1 AND 200"
