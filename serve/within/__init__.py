"""What a request of an account that is for some sites gets in place of fleet, history, live table, keys, routes and jobs.

Each is the thing itself with the devices of other sites taken out: to whoever asks through it they are not there, by the
same answer and in the same way as an id that nobody has. What is not told here how to leave them out is closed.
"""
