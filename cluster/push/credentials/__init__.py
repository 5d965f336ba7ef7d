"""Keys, certificates and access tokens of the push services: files that are read again when they change.

`watched.py` reads a file and notices a new one; `keys.py`, `certificate.py` and `service_account.py` say
what is in it; `jwt.py` signs; `access_token.py` is what an OAuth service gave us. Errors are sentences that
name the option and the remedy. Files are small and local; they are looked at every 10 s at most.
"""
