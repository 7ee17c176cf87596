"""Warehouse: a schema of the size that larger projects have, sixty tables that refer to one another."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

TABLES = 60


def _model(number: int) -> Any:
    """One table: a key from a sequence, an indexed label, a document, a reference to an earlier table."""

    class Row(SQLModel):
        id: int | None = Field(default=None, primary_key=True)
        label: str = Field(index=True)
        content: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
        parent_id: int | None = Field(
            default=None, foreign_key=f"warehouse{(number - 1) // 4}.id" if number else None
        )

    return type(f"Warehouse{number}", (Row,), {"__module__": __name__}, table=True)


MODELS = [_model(number) for number in range(TABLES)]
