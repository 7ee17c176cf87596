"""Factories derived from models, in whole pytest processes on a real PostgreSQL."""

from collections.abc import Callable

import pytest

Run = Callable[..., pytest.RunResult]

WIDE = """
import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal, Optional

from sqlalchemy import (
    CHAR, CheckConstraint, Column, Index, Integer, String, Time, UniqueConstraint, func,
)
from sqlalchemy.dialects.postgresql import ARRAY, ENUM, HSTORE, JSONB
from sqlmodel import Field, SQLModel

class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"

class Paint(SQLModel, table=True):
    __table_args__ = (UniqueConstraint("colour"), Index("one_glossy", "glossy", unique=True))
    id: int | None = Field(default=None, primary_key=True)
    colour: Colour
    glossy: bool

class Wide(SQLModel, table=True):
    __table_args__ = (
        CheckConstraint("ratio > 0 AND ratio < 1"),
        CheckConstraint("dozen % 12 = 0 AND dozen > 12"),
        CheckConstraint("length(padded) >= 12"),
        CheckConstraint("tariff >= 3 AND tariff < 4"),
    )
    id: uuid.UUID | None = Field(default=None, primary_key=True)
    short: str = Field(max_length=4)
    code: str = Field(sa_column=Column(String(2), unique=True, nullable=False))
    fixed: str = Field(sa_column=Column(CHAR(1), nullable=False))
    padded: str = Field(min_length=12)
    label: str = Field(default="same", unique=True)
    colour: Colour
    shade: Optional[Colour] = Field(nullable=False)
    kind: Literal["x", "y"] = Field(sa_type=String(1))
    size: str = Field(sa_type=ENUM("s", "m", name="size"))
    active: bool
    count: int
    dozen: Annotated[int, "by twelve"] = Field(gt=12, multiple_of=12)
    weight: float
    ratio: float = Field(gt=0, lt=1)
    price: Decimal = Field(max_digits=5, decimal_places=2)
    share: Decimal = Field(max_digits=2, decimal_places=2)
    tariff: Decimal = Field(max_digits=3, decimal_places=2, ge=3, lt=4)
    day: dt.date
    moment: dt.datetime
    clock: dt.time
    zoned: dt.time = Field(sa_type=Time(timezone=True))
    wait: dt.timedelta
    token: uuid.UUID
    blob: bytes
    numbers: list[int] = Field(sa_type=ARRAY(Integer))
    grid: list[list[str]] = Field(sa_type=ARRAY(String(3), dimensions=2))
    colours: list[Colour] = Field(sa_column=Column(ARRAY(ENUM(Colour, name="colour")), nullable=False))
    document: dict[str, Any] = Field(sa_type=JSONB)
    items: list[Any] = Field(sa_type=JSONB)
    note: str | None = None
    state: str = "new"
    tags: list[str] = Field(default_factory=lambda: ["fresh"], sa_type=ARRAY(String))
    made: dt.datetime | None = Field(
        default=None, sa_column_kwargs={"server_default": func.now(), "nullable": False}
    )
"""

TREE = """
import uuid
from sqlalchemy import ForeignKeyConstraint, Integer, Column, Table, ForeignKey
from sqlmodel import Field, Relationship, SQLModel

class Country(SQLModel, table=True):
    code: str = Field(primary_key=True, max_length=2)

class Owner(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str
    country_code: str = Field(foreign_key="country.code")
    boss_id: int | None = Field(default=None, foreign_key="owner.id")
    shops: list["Shop"] = Relationship(back_populates="owner")

class Shop(SQLModel, table=True):
    region: int = Field(primary_key=True)
    number: int = Field(primary_key=True)
    owner_id: int = Field(foreign_key="owner.id")
    owner: Owner = Relationship(back_populates="shops")

class Sale(SQLModel, table=True):
    __table_args__ = (ForeignKeyConstraint(["region", "number"], ["shop.region", "shop.number"]),)
    id: int | None = Field(default=None, primary_key=True)
    region: int
    number: int

class Passport(SQLModel, table=True):
    owner_id: int = Field(primary_key=True, foreign_key="owner.id")

class Hen(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    egg_id: int = Field(foreign_key="egg.id")

class Egg(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    hen_id: int = Field(foreign_key="hen.id")

class Till(SQLModel, table=True):
    __table_args__ = (
        ForeignKeyConstraint(["region", "number"], ["shop.region", "shop.number"], name="here"),
        ForeignKeyConstraint(["region", "other"], ["shop.region", "shop.number"], name="there"),
    )
    id: int | None = Field(default=None, primary_key=True)
    region: int
    number: int
    other: int

class Node(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    parent_id: int = Field(foreign_key="node.id")
"""


def test_every_required_column_gets_a_value_the_server_takes(run: Run) -> None:
    """Forty rows of a model with every type go in; what may be empty or has a default is left alone."""
    result = run(
        """
        import datetime as dt
        from decimal import Decimal
        from realdb_ci.factories import factory_for
        from wide import Colour, Paint, Wide

        def test_it(db_session):
            assert factory_for(Wide) is factory_for(Wide)
            first, second = factory_for(Wide).create_batch(2)
            db_session.commit()
            for row in (first, second):
                db_session.refresh(row)
            assert (first.short, first.code, second.code, first.label) == ("sh-0", "0", "1", "label-0")
            assert (first.colour, second.colour) == (Colour.RED, Colour.RED)
            assert first.shade is Colour.RED
            assert (first.kind, first.size, first.active, first.padded) == ("x", "s", False, "padded-0xxxx")
            assert (first.count, first.dozen, second.dozen) == (1, 24, 36)
            assert (first.price, second.share, first.tariff) == (Decimal("0.01"), Decimal("0.02"), Decimal("3.00"))
            assert first.moment.tzinfo and second.moment - first.moment == dt.timedelta(minutes=1)
            assert (second.day - first.day, first.wait) == (dt.timedelta(days=1), dt.timedelta(hours=1))
            assert (first.numbers, first.grid, first.colours) == ([1], [["g-0"]], [Colour.RED])
            assert (first.document, first.items, first.blob) == ({}, [], b"blob-0")
            assert (first.note, first.state, first.tags) == (None, "new", ["fresh"])
            assert first.made.year >= 2024 and first.id and first.token.version == 4

        def test_many(db_session):
            rows = factory_for(Wide).create_batch(40)
            assert len({row.code for row in rows}) == len({row.token for row in rows}) == 40
            far = factory_for(Wide)(__sequence=150)
            assert (far.short, far.code, far.fixed, far.share) == ("150", "46", "6", Decimal("0.52"))

        def test_few_values_take_turns_where_they_must_differ(db_session):
            one, two = factory_for(Paint).create_batch(2)
            assert (one.colour, two.colour) == (Colour.RED, Colour.BLUE)
            assert (one.glossy, two.glossy) == (False, True)
        """,
        wide=WIDE,
    )
    result.assert_outcomes(passed=3)


def test_values_are_the_same_in_every_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes with different hash seeds make the same rows."""
    test = """
        from realdb_ci.factories import factory_for
        from wide import Wide

        def test_it():
            print(f"made: {factory_for(Wide).build_batch(3)!r}")
        """
    made = []
    for seed in ("1", "2"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        made += [line for line in run(test, "-s", wide=WIDE).outlines if "made: " in line]
    assert len(made) == 2
    assert made[0] == made[1]


def test_foreign_keys_make_their_parents(run: Run) -> None:
    """With and without a relationship, composite, as primary key, and given by the caller in any way."""
    result = run(
        """
        import factory
        from realdb_ci.factories import SQLModelFactory, factory_for
        from sqlmodel import func, select
        from tree import Country, Owner, Passport, Sale, Shop

        def count(session, model):
            return session.exec(select(func.count()).select_from(model)).one()

        def test_relationship(db_session):
            shop = factory_for(Shop)()
            assert shop.owner_id == shop.owner.id
            assert shop.owner.boss_id is None
            assert db_session.get(Country, shop.owner.country_code)
            assert factory_for(Shop)(owner__name="Ann").owner.name == "Ann"
            assert isinstance(factory_for(Shop).owner, factory.SubFactory)

        def test_key_given(db_session):
            owner = factory_for(Owner)()
            shop = factory_for(Shop)(owner_id=owner.id)
            assert (shop.owner_id, factory_for(Shop)(owner=owner).owner_id) == (owner.id, owner.id)
            assert (count(db_session, Owner), count(db_session, Country)) == (1, 1)

        def test_no_relationship(db_session):
            owner = factory_for(Owner)(country_code__code="DE")
            assert owner.country_code == "DE"
            assert factory_for(Owner)(country_code="DE").country_code == "DE"
            assert count(db_session, Country) == 1

        def test_composite_key_is_of_one_parent(db_session):
            sale = factory_for(Sale)()
            assert db_session.get(Shop, (sale.region, sale.number))
            assert count(db_session, Shop) == 1

        def test_key_is_primary_key(db_session):
            assert db_session.get(Owner, factory_for(Passport)().owner_id)

        def test_overrides(db_session):
            class Named(SQLModelFactory):
                class Meta:
                    model = Owner
                name = "Ann"
                country_code = factory.SelfAttribute("country.code")
                class Params:
                    country = factory.SubFactory(factory_for(Country))
            hooked = []
            Shops = factory_for(
                Shop,
                owner=factory.SubFactory(Named),
                number=factory.Sequence(lambda n: 100 + n),
                far=factory.Trait(region=9),
                hook=factory.PostGeneration(lambda shop, create, extracted: hooked.append(shop.region)),
            )
            shop = Shops(far=True)
            assert (shop.owner.name, shop.number, shop.region, hooked) == ("Ann", 100, 9, [9])
            assert issubclass(Shops, factory_for(Shop, owner=None, number=0).__mro__[2])

        def test_subclass(db_session):
            class ShopFactory(factory_for(Shop)):
                region = 7
            assert [shop.number for shop in ShopFactory.create_batch(2)] == [1, 2]
        """,
        tree=TREE,
    )
    result.assert_outcomes(passed=7)


def test_what_cannot_be_derived_is_named_with_the_remedy(run: Run) -> None:
    """Circles, unknown types and names, models without a table, and tables without a model; a value helps."""
    result = run(
        """
        import pytest
        from realdb_ci.errors import SettingError
        from realdb_ci.factories import factory_for
        from sqlalchemy import Column, Integer, Table
        from sqlalchemy.dialects.postgresql import INET
        from sqlmodel import Field, SQLModel
        from tree import Egg, Hen, Node, Owner, Till

        Table("bare", SQLModel.metadata, Column("id", Integer, primary_key=True))

        class Guest(SQLModel, table=True):
            id: int | None = Field(default=None, primary_key=True)
            address: str = Field(sa_type=INET)

        class Bound(SQLModel, table=True):
            id: int | None = Field(default=None, primary_key=True)
            bare_id: int = Field(foreign_key="bare.id")

        class Narrow(SQLModel, table=True):
            id: int | None = Field(default=None, primary_key=True)
            level: int = Field(gt=1, lt=2)

        @pytest.mark.parametrize(("model", "overrides", "said"), [
            (Hen, {}, r"Egg\\.hen_id.*Hen needs Egg needs Hen.*factory_for\\(Egg, hen_id=\\.\\.\\.\\)"),
            (Node, {}, r"Node\\.parent_id.*Node needs Node.*factory_for\\(Node, parent_id"),
            (Till, {}, r"Till\\.region, other.*shares a column.*factory_for\\(Till, region"),
            (Guest, {}, r"Guest\\.address.*INET.*factory_for\\(Guest, address"),
            (Narrow, {}, r"Narrow\\.level.*no value lies between 2 and 1"),
            (Bound, {}, r"Bound\\.bare_id.*table bare.*factory_for\\(Bound, bare_id"),
            (Owner, {"nmae": "Ann"}, r"'nmae'.*Did you mean 'name'"),
            (SQLModel, {}, r"'SQLModel'.*table=True"),
            (int, {}, r"'int'.*table=True"),
        ])
        def test_error(model, overrides, said):
            with pytest.raises(SettingError, match="(?s)" + said):
                factory_for(model, **overrides)

        def test_value_helps(db_session):
            assert factory_for(Guest, address="192.0.2.1")().id
            assert factory_for(Hen, egg_id=1).build().egg_id == 1
        """,
        tree=TREE,
    )
    result.assert_outcomes(passed=10)


def test_plain_sqlalchemy_models_and_inheritance_work(run: Run) -> None:
    """What SQLAlchemy fills in itself is left to it: discriminators, versions, keys of joined tables."""
    result = run(
        """
        from plain import Cat, Pet, Vet
        from realdb_ci.factories import factory_for

        def test_it(db_session):
            cat = factory_for(Cat)()
            db_session.commit()
            assert (cat.kind, cat.version, cat.name, cat.lives) == ("cat", 1, "name-0", 1)
            assert db_session.get(Pet, cat.id) is cat
            vet = factory_for(Vet)(patient__id="tom", patient__name="Tom")
            assert (type(vet.patient), vet.patient.name) == (Pet, "Tom")
        """,
        "--realdb-schema=plain:Base.metadata",
        plain="""
        from sqlalchemy import ForeignKey
        from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

        class Base(DeclarativeBase):
            pass

        class Pet(Base):
            __tablename__ = "pet"
            id: Mapped[str] = mapped_column(primary_key=True)
            kind: Mapped[str] = mapped_column()
            name: Mapped[str]
            version: Mapped[int] = mapped_column()
            __mapper_args__ = {
                "polymorphic_on": kind, "polymorphic_identity": "pet", "version_id_col": version
            }

        class Cat(Pet):
            __tablename__ = "cat"
            id: Mapped[str] = mapped_column(ForeignKey("pet.id"), primary_key=True)
            lives: Mapped[int]
            __mapper_args__ = {"polymorphic_identity": "cat"}

        class Dog(Pet):
            __mapper_args__ = {"polymorphic_identity": "dog"}

        class Vet(Base):
            __tablename__ = "vet"
            id: Mapped[int] = mapped_column(primary_key=True)
            patient_id: Mapped[str] = mapped_column(ForeignKey("pet.id"))
            patient: Mapped[Pet] = relationship()
        """,
    )
    result.assert_outcomes(passed=1)


def test_derived_factories_can_be_awaited(run: Run) -> None:
    """On the awaited base, parents are made through the async session too."""
    result = run(
        """
        import pytest
        from realdb_ci.factories import AsyncSQLModelFactory, factory_for
        from tree import Owner, Sale, Shop

        @pytest.mark.anyio
        async def test_it(async_db_session):
            shop = await factory_for(Shop, AsyncSQLModelFactory).create(owner__name="Ann")
            assert (await async_db_session.get(Owner, shop.owner_id)).name == "Ann"
            sale = await factory_for(Sale, AsyncSQLModelFactory, id=5).create()
            assert sale.id == 5 and await async_db_session.get(Shop, (sale.region, sale.number))
        """,
        tree=TREE,
    )
    result.assert_outcomes(passed=1)
