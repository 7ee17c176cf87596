#!/usr/bin/python3
"""Make the root user through the localhost exception; the wheel has no shell client."""

import os

import pymongo

client = pymongo.MongoClient("127.0.0.1", 27017)
client.admin.command(
    "createUser",
    os.environ["MONGO_INITDB_ROOT_USERNAME"],
    pwd=os.environ["MONGO_INITDB_ROOT_PASSWORD"],
    roles=["root"],
)
