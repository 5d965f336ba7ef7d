"""What a node costs and bears under load. Lives in the checkout only and is not installed.

`compare/` is behind `make bench`: the same work for this project's node and for Kamailio, side by side.
"""
