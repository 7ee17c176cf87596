"""Documents for the running test's MongoDB database."""

# factory_boy annotates part of what it offers.
# mypy: allow-untyped-calls
from __future__ import annotations

from typing import Any

from factory.base import Factory, OptionDefault

from realdb_ci.errors import SettingError
from realdb_ci.factories.sequences import RestartingOptions
from realdb_ci.services.active import active

Document = dict[str, Any]


class _MongoOptions(RestartingOptions):
    """Adds ``collection``, and makes ``dict`` the model of factories that name none."""

    def _build_default_options(self) -> list[OptionDefault]:
        return [*super()._build_default_options(), OptionDefault("collection", None, inherit=True)]

    def get_model_class(self) -> Any:
        # The abstract base has no model: factories count together with a base that has one.
        return dict if self.model is None and not self.abstract else self.model


class MongoFactory(Factory[Document]):
    """Documents inserted into a collection of the test's ``mongo_db``; they come back with their ``_id``.

    A change that a ``post_generation`` hook makes to the document is stored; nested documents are plain
    ``factory.Dict``, ``factory.DictFactory`` or ``factory.List``.

        class ChatFactory(MongoFactory):
            class Meta:
                collection = "chats"
            user_id = factory.Sequence(lambda n: f"user_{n}")
            messages = factory.List([factory.Dict({"text": "hello"})])
    """

    _options_class = _MongoOptions
    _meta: Any

    class Meta:
        """A base: no collection of its own."""

        abstract = True

    @classmethod
    def _create(cls, model_class: type[Document], *args: Any, **kwargs: Any) -> Document:
        document = model_class(*args, **kwargs)
        active.mongo(cls.__name__)[cls._collection()].insert_one(document)
        return document

    @classmethod
    def _after_postgeneration(cls, instance: Document, create: bool, results: dict[str, Any] | None = None) -> None:
        if create and results:
            collection = active.mongo(cls.__name__)[cls._collection()]
            collection.replace_one({"_id": instance["_id"]}, instance)

    @classmethod
    def _collection(cls) -> str:
        name = cls._meta.collection
        if not name:
            raise SettingError(
                f"{cls.__name__} does not say which collection it writes to",
                why="its class Meta has no collection",
                remedy='add `class Meta: collection = "..."`; a nested document derives from factory.DictFactory',
            )
        return str(name)
