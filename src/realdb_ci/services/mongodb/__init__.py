"""MongoDB: its recipe, its isolation and its pytest fixtures."""

from realdb_ci.services.mongodb.recipe import MongoDB

SERVICE = MongoDB()
FIXTURES = f"{__name__}.fixtures"
