"""What a push costs, and how soon after the INVITE it is at the provider: `python -m loadtests.push`.

sink.py stands for Apple's server (HTTP/2 over TLS) and only notes when each push came; drive.py queues and
dispatches pushes in a process of its own; __main__.py starts both, a node, and sends it INVITEs.
"""
