"""A private network, real servers in it, a gateway joined to it, and a user outside."""
