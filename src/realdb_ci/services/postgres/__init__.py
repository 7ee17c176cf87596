"""PostgreSQL: its recipe, its isolation and its pytest fixtures."""

from realdb_ci.services.postgres.recipe import Postgres

SERVICE = Postgres()
FIXTURES = f"{__name__}.fixtures"
