"""Factories of documents, in whole pytest processes on a real MongoDB."""

from collections.abc import Callable

import pytest

Run = Callable[..., pytest.RunResult]

FACTORIES = """
import factory
from realdb_ci.factories import MongoFactory

class MessageFactory(factory.DictFactory):
    text = factory.Sequence(lambda n: f"hello {n}")

class UserFactory(MongoFactory):
    class Meta:
        collection = "users"
    name = factory.Sequence(lambda n: f"user_{n}")

class ChatFactory(MongoFactory):
    class Meta:
        collection = "chats"
    class Params:
        archived = factory.Trait(state="archived")
        owner = factory.SubFactory(UserFactory)
    user_id = factory.LazyAttribute(lambda chat: chat.owner["_id"])
    state = "open"
    messages = factory.List([factory.SubFactory(MessageFactory)])
    @factory.post_generation
    def labels(chat, create, extracted):
        if extracted:
            chat["labels"] = list(extracted)

class BusyUserFactory(UserFactory):
    chat = factory.RelatedFactory(ChatFactory, "owner")
"""


def test_documents_are_inserted_into_the_database_of_the_test(run: Run) -> None:
    """SubFactory, RelatedFactory, traits, Params, nested documents, hooks and batches make documents."""
    result = run(
        """
        import pytest
        from docs import BusyUserFactory, ChatFactory, UserFactory

        def test_document_has_its_id(mongo_db):
            chat = ChatFactory(archived=True)
            assert mongo_db.chats.find_one() == chat
            assert chat["state"] == "archived" and chat["messages"] == [{"text": "hello 0"}]
            assert mongo_db.users.find_one({"_id": chat["user_id"]})["name"] == "user_0"
            assert "owner" not in chat and "archived" not in chat

        def test_own_id(mongo_db):
            assert UserFactory(_id="ann")["_id"] == "ann"
            assert mongo_db.users.count_documents({"_id": "ann"}) == 1

        def test_related(mongo_db):
            user = BusyUserFactory()
            assert mongo_db.chats.find_one()["user_id"] == user["_id"]

        def test_hook_is_stored(mongo_db):
            ChatFactory(labels=["a", "b"])
            assert mongo_db.chats.find_one()["labels"] == ["a", "b"]

        @pytest.mark.parametrize("turn", [1, 2])
        def test_sequences_restart(mongo_db, turn):
            assert [user["name"] for user in UserFactory.create_batch(2)] == ["user_0", "user_1"]
            assert mongo_db.users.count_documents({}) == 2

        def test_build_writes_nothing():
            assert "_id" not in UserFactory.build()
        """,
        docs=FACTORIES,
    )
    result.assert_outcomes(passed=7)


def test_factory_that_cannot_write_says_why(run: Run) -> None:
    """A test without the fixture, code outside a test and a factory without a collection are named."""
    result = run(
        """
        import pytest
        from docs import UserFactory
        from realdb_ci.errors import SettingError
        from realdb_ci.factories import MongoFactory

        with pytest.raises(SettingError, match="(?s)UserFactory .* outside a test.*asks for mongo_db"):
            UserFactory()

        def test_plain(db_session):
            with pytest.raises(SettingError, match="(?s)UserFactory .*::test_plain.*add mongo_db to the arguments"):
                UserFactory()

        def test_no_collection(mongo_db):
            class Nameless(MongoFactory):
                text = "x"
            assert Nameless.build() == {"text": "x"}
            with pytest.raises(SettingError, match="(?s)Nameless.*class Meta: collection"):
                Nameless()
        """,
        docs=FACTORIES,
    )
    result.assert_outcomes(passed=2)
