"""The typed client: the one way in for programs, used by the command line, the examples and the tests.

A file for each noun, as in ``serve.schemas``, whose bodies are what methods take and give. It is synchronous: an async
program asks in a thread (``asyncio.to_thread``), which costs less than a second copy of everything would.
"""

from serve.client.platform import Client

__all__ = ["Client"]
