"""What a MESSAGE costs that is taken at once, kept, and delivered later: `python -m loadtests.messages`.

phones.py sends, registers and answers over UDP; __main__.py starts a node on a real Redis and etcd, and reads
what the node and Redis have spent.
"""
