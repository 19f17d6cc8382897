"""Bodies of requests and replies: the public contract, a file for each noun. No behaviour.

Requests refuse what they do not know. Times are ISO 8601, UTC; numbers are null where nothing is known.
"""
