"""Push services, one file each: how a push looks there, and what an answer means. No I/O but files of keys.

`catalogue.py` knows all that are configured. `provider.py` says what each has to say; `*_payload.py` what an
app reads, `*_answers.py` what a vendor's word means, `target.py` which URLs of phones may be asked,
`reply.py` and `grant.py` what all answers have in common.
"""
