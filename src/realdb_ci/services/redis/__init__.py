"""Redis: its recipe, its isolation and its pytest fixtures."""

from realdb_ci.services.redis.recipe import Redis

SERVICE = Redis()
FIXTURES = f"{__name__}.fixtures"
